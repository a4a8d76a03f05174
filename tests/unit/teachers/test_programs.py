import zipfile

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
    teacher = load_teacher(tmp_path / "net.pt", classes=["a", "b", "c"], input_shape=(4,))
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-5, atol=1e-6)
    assert repr(teacher) == "TorchTeacher('net', n_classes=3, n_features=4)"


def test_torchscript_saved_in_training_is_asked_in_eval_mode(module, logits, tmp_path):
    torch.jit.script(module.train()).save(tmp_path / "net.pt")
    teacher = load_teacher(tmp_path / "net.pt")
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


class WritesByOperator(WritesWhenAsked):
    def forward(self, x):
        torch.ops.aten.save(x, self.path)
        return x


class MapsAFile(WritesWhenAsked):
    def forward(self, x):
        return x + torch.from_file(self.path, shared=True, size=4)


@pytest.mark.parametrize("kind", [WritesWhenLoaded, WritesWhenAsked, WritesByOperator, MapsAFile])
def test_scripts_that_reach_for_files_need_trust(kind, tmp_path):
    """torch.jit.load runs what a script says in __setstate__; scripts can write any file."""
    target, path = tmp_path / "written", tmp_path / "t.pt"
    torch.jit.script(kind(str(target))).save(path)
    target.unlink(missing_ok=True)
    with pytest.raises(BundleError, match=r"t\.pt': it is a TorchScript archive with .*--trust"):
        load_teacher(path)
    assert not target.exists()
    load_teacher(path, trust=True).logits(X)
    assert target.exists()


def rewrite(path, change):
    """Write an archive anew, with the code of its module changed; return its members."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            is_code = name.endswith(".py") and b"def forward" in content
            archive.writestr(name, change(content) if is_code else content)
    return members


@pytest.mark.parametrize(
    "code",
    [
        b"ops.c10d.barrier()",
        b"ops.prim.rpc_sync()",
        b"ops # aten\n.c10d.barrier()",
        b"ops.aten . save(x, path)",
        b"p : __torch__.torch.classes.quantized.LinearPackedParamsBase",
    ],
)
def test_scripts_that_call_extensions_need_trust(module, tmp_path, code):
    path = tmp_path / "t.pt"
    torch.jit.script(module).save(path)
    rewrite(path, lambda content: content + b"    " + code + b"\n")
    with pytest.raises(BundleError, match=r"TorchScript archive with .*--trust"):
        load_teacher(path)


def test_native_classes_in_the_pickle_need_trust(module, tmp_path):
    path = tmp_path / "t.pt"
    torch.jit.script(module).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("t/more.pkl", b"c__torch__.torch.classes.profiling\n_ScriptProfile\n")
    with pytest.raises(BundleError, match="native classes"):
        load_teacher(path)


def test_names_with_a_dot_before_ops_are_harmless(logits, module, tmp_path):
    """Classes of torchvision.ops are in the code of its networks."""
    path = tmp_path / "t.pt"
    torch.jit.script(module).save(path)
    rewrite(path, lambda content: content + b"  # __torch__.torchvision.ops.misc.Block\n")
    np.testing.assert_allclose(load_teacher(path).logits(X), logits, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", [str.upper, str])
def test_a_second_member_of_the_same_name_is_refused(module, tmp_path, case):
    """torch looks names up whatever their case: which one it reads is its secret."""
    path = tmp_path / "t.pt"
    torch.jit.script(module).save(path)
    members = rewrite(path, lambda content: content)
    code = next(name for name in members if name.endswith(".py"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(case(code), b"torch.save")
    with pytest.raises(BundleError, match="several members of the same name"):
        load_teacher(path)


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
