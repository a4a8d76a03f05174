import numpy as np
import pytest
import torch
from torch import nn

from soft_students import as_teacher
from soft_students.persistence import BundleError
from soft_students.teachers import load_teacher

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

X = np.random.RandomState(0).rand(6, 4).astype(np.float32)


@pytest.fixture
def module():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    module.train()(torch.randn(32, 4))  # moves the running statistics away from 0 and 1
    return module.eval()


@pytest.fixture
def logits(module):
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


def scripted(module):
    return torch.jit.script(module)


def traced(module):
    return torch.jit.trace(module, torch.zeros(2, 4))


def frozen(module):
    return torch.jit.freeze(torch.jit.script(module))


@pytest.mark.parametrize("make", [scripted, traced, frozen])
def test_torchscript_archives_give_the_same_logits(module, logits, tmp_path, make):
    make(module).save(tmp_path / "net.pt")
    teacher = load_teacher(
        tmp_path / "net.pt", trust=True, classes=["a", "b", "c"], input_shape=(4,)
    )
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-5, atol=1e-6)
    assert repr(teacher) == "TorchTeacher('net', n_classes=3, n_features=4)"


def test_torchscript_saved_in_training_is_asked_in_eval_mode(module, logits, tmp_path):
    torch.jit.script(module.train()).save(tmp_path / "net.pt")
    teacher = load_teacher(tmp_path / "net.pt", trust=True)
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-5, atol=1e-6)
    assert all(part.training for part in teacher.module.modules())


def test_a_scripted_module_in_memory_is_named_by_its_class(module, logits):
    teacher = as_teacher(torch.jit.script(module))
    assert teacher.name == "Sequential"
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-5, atol=1e-6)


def test_a_failing_script_is_quoted_where_it_says_what_happened(module):
    with pytest.raises(ValueError, match=r"failed on inputs of shape \(6, 3\).*multiplied"):
        as_teacher(torch.jit.script(module)).logits(X[:, :3])


class WritesWhenLoaded(nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]):
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), self.path)

    def forward(self, x):
        return x


class WritesWhenAsked(nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x):
        torch.save(x, self.path)
        return x


@pytest.mark.parametrize("kind", [WritesWhenLoaded, WritesWhenAsked])
def test_torchscript_needs_trust(kind, tmp_path):
    """torch.jit.load runs what a script says in __setstate__; scripts can write any file."""
    target, path = tmp_path / "written", tmp_path / "t.pt"
    torch.jit.script(kind(str(target))).save(path)
    target.unlink(missing_ok=True)
    with pytest.raises(BundleError, match=r"t\.pt': it is a TorchScript archive.*--trust"):
        load_teacher(path)
    assert not target.exists()
    load_teacher(path, trust=True).logits(X)
    assert target.exists()


def export(module, batch=None):
    return torch.export.export(
        module, (torch.zeros(2, 4),), dynamic_shapes=None if batch is None else ({0: batch},)
    )


@pytest.fixture
def program(module):
    return export(module, torch.export.Dim("batch"))


def test_exported_archives_need_trust_and_give_the_same_logits(program, logits, tmp_path):
    path = tmp_path / "net.pt2"
    torch.export.save(program, path)
    with pytest.raises(BundleError, match=r"torch.export archive.*run any code.*--trust"):
        load_teacher(path)
    teacher = load_teacher(path, trust=True)
    for rows in (slice(None), slice(1)):
        np.testing.assert_allclose(teacher.logits(X[rows]), logits[rows], rtol=1e-5, atol=1e-6)
    assert teacher.name == "net"


def test_exported_programs_in_memory_teach(program, logits):
    for model in (program, program.module()):
        np.testing.assert_allclose(as_teacher(model).logits(X), logits, rtol=1e-5, atol=1e-6)


def test_a_fixed_batch_is_explained(module):
    teacher = as_teacher(export(module))
    with pytest.raises(ValueError, match=r"failed on inputs of shape \(6, 4\).*size\(\)\[0\] == 2"):
        teacher.logits(X)


def test_programs_exported_in_training_mode_are_refused(module):
    with pytest.raises(ValueError, match=r"training mode \(aten.*module\.eval\(\)"):
        as_teacher(export(module.train(), torch.export.Dim("batch")))
