import os
import pickle
import sys
import zipfile

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from soft_students import SoftDecisionTreeClassifier, save
from soft_students.persistence import BundleError
from soft_students.teachers import (
    ArrayTeacher,
    EnsembleTeacher,
    EstimatorTeacher,
    load_teacher,
    save_teacher,
    train_teacher,
)

RNG = np.random.RandomState(0)
X = RNG.rand(60, 5).astype(np.float32)
Y = np.array(["no", "yes"])[(X[:, 0] > X[:, 1]).astype(int)]


class Net(nn.Module):
    """A module that a pickle can find again, and an architecture to name."""

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width), nn.Linear(width, 3))

    def forward(self, x):
        return self.layers(x)


class Touch:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = Net()
    net.train()(torch.randn(20, 5))
    return net.eval()


@pytest.fixture
def logits(net):
    with torch.no_grad():
        return net(torch.from_numpy(X)).numpy()


@pytest.fixture
def here(monkeypatch):
    """The name under which this test module can be imported."""
    monkeypatch.setitem(sys.modules, "test_files_architectures", sys.modules[__name__])
    return "test_files_architectures"


@pytest.fixture(scope="module")
def trained():
    settings = {"arch": "mlp", "config": {"hidden": [4]}, "epochs": 2, "n_jobs": 1}
    return train_teacher(X, Y, n_models=2, random_state=0, **settings)


def test_our_own_file_gives_the_same_teacher(trained, tmp_path):
    for teacher in (trained, trained.members[0]):
        again = load_teacher(save_teacher(teacher, tmp_path / "t.pt"))
        assert type(again) is type(teacher)
        assert again.name == teacher.name
        assert again.predict(X).tolist() == teacher.predict(X).tolist()
        np.testing.assert_array_equal(again.logits(X), teacher.logits(X))
        assert again.record == teacher.record
    assert isinstance(trained, EnsembleTeacher)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict"])
def test_a_state_dict_goes_into_the_named_architecture(net, logits, tmp_path, here, key, legacy):
    state = net.state_dict() if key is None else {key: net.state_dict(), "epoch": 3}
    path = tmp_path / "t.pt"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    teacher = load_teacher(path, arch=f"{here}:Net", classes=["a", "b", "c"], input_shape=(5,))
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-6)
    assert repr(teacher) == "TorchTeacher('t', n_classes=3, n_features=5)"


def test_options_reach_the_module_of_a_state_dict(net, logits, tmp_path, here):
    torch.save(net.state_dict(), tmp_path / "t.pt")
    teacher = load_teacher(
        tmp_path / "t.pt",
        arch=f"{here}:Net",
        preprocess={"mean": 10.0, "std": 0.5},
        task="regression",
        input_range=(0, 20),
    )
    np.testing.assert_allclose(teacher.predict(X * 0.5 + 10), logits, atol=1e-4)
    assert teacher.input_range_ == (0, 20)


def test_a_state_dict_alone_asks_for_its_architecture(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "t.pt")
    with pytest.raises(BundleError, match=r"t\.pt': it is a plain state dict.*--arch module:fac"):
        load_teacher(tmp_path / "t.pt")


def test_a_dictionary_of_nameless_tensors_is_no_state_dict(tmp_path):
    torch.save({1: torch.zeros(2)}, tmp_path / "t.pt")
    with pytest.raises(BundleError, match=r"keys \[1\], not a state dict"):
        load_teacher(tmp_path / "t.pt", arch="torch.nn:Identity")


def _wide():
    return Net(width=9)


def _number():
    return 3


@pytest.mark.parametrize(
    ("arch", "error", "message"),
    [
        ("nothing", ValueError, "form module:factory. Got 'nothing'"),
        (":Net", ValueError, "form module:factory"),
        ("no_such_module:Net", ValueError, "No module named 'no_such_module'"),
        ("{here}:Nut", ValueError, "has no attribute 'Nut'"),
        ("{here}:_wide", BundleError, r"do not fit .*:_wide: .*size mismatch"),
        ("{here}:_number", ValueError, "must return an nn.Module. Got int"),
        ("torch.nn:Linear", ValueError, "callable without arguments"),
        ("torch.nn:Identity", BundleError, "do not fit torch.nn:Identity"),
    ],
)
def test_an_unfit_architecture_is_refused(net, tmp_path, here, arch, error, message):
    torch.save(net.state_dict(), tmp_path / "t.pt")
    with pytest.raises(error, match=message):
        load_teacher(tmp_path / "t.pt", arch=arch.format(here=here))


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of the exporter
def test_onnx_files_are_recognised_whatever_their_name(net, logits, tmp_path):
    path = tmp_path / "t.pt"
    torch.onnx.export(
        net,
        (torch.zeros(2, 5),),
        path,
        dynamo=True,
        dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
        output_names=["logits"],
        verbose=False,
        external_data=False,
    )
    teacher = load_teacher(path, classes=["a", "b", "c"], output="logits")
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-4, atol=1e-5)
    assert repr(teacher) == "OnnxTeacher('t', n_classes=3, n_features=5)"


def write_torch(value, path):
    torch.save(value, path)


def write_legacy_torch(value, path):
    torch.save(value, path, _use_new_zipfile_serialization=False)


def write_pickle(value, path):
    path.write_bytes(pickle.dumps(value))


def write_joblib(value, path):
    joblib.dump(value, path)


def write_compressed_joblib(value, path):
    joblib.dump(value, path, compress=3)


WRITERS = [write_torch, write_legacy_torch, write_pickle, write_joblib, write_compressed_joblib]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"state_dict": x}], ids=["bare", "dict"])
def test_a_pickle_runs_only_with_trust(tmp_path, write, wrap):
    target, path = tmp_path / "ran", tmp_path / "t.pt"
    write(wrap(Touch(target)), path)
    with pytest.raises(BundleError, match=r"t\.pt': it .*pickle.*any code.*--trust, or trust=True"):
        load_teacher(path)
    assert not target.exists()
    with pytest.raises(BundleError):  # what it holds is no model, but it has run
        load_teacher(path, trust=True)
    assert target.exists()


@pytest.mark.parametrize("write", WRITERS)
def test_a_pickled_module_teaches_with_trust(net, logits, tmp_path, here, write, monkeypatch):
    monkeypatch.setattr(Net, "__module__", here)
    path = tmp_path / "t.pt"
    write(net, path)
    with pytest.raises(BundleError, match="--trust"):
        load_teacher(path)
    teacher = load_teacher(path, trust=True, input_shape=(5,))
    np.testing.assert_allclose(teacher.logits(X), logits, rtol=1e-6)


@pytest.mark.parametrize("write", WRITERS)
def test_a_pickled_estimator_teaches_with_trust(tmp_path, write):
    model = LogisticRegression().fit(X, Y)
    write(model, tmp_path / "t.pt")
    teacher = load_teacher(tmp_path / "t.pt", trust=True)
    assert isinstance(teacher, EstimatorTeacher)
    np.testing.assert_allclose(teacher.predict_proba(X), model.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_every_compression_of_joblib_is_known(tmp_path, method):
    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(X, Y), path, compress=(method, 1))
    with pytest.raises(BundleError, match=r"compressed and may hold a pickle.*--trust"):
        load_teacher(path)
    assert load_teacher(path, trust=True).classes_.tolist() == ["no", "yes"]


def test_a_pickled_teacher_is_itself(tmp_path):
    write_pickle(ArrayTeacher([[0.25, 0.75]], classes=["a", "b"]), tmp_path / "t.pt")
    assert load_teacher(tmp_path / "t.pt", trust=True).predict(X[:1]).tolist() == ["b"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_pickle_whose_code_is_gone_says_so(net, tmp_path, write, monkeypatch):
    path = tmp_path / "t.pt"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone_for_good", sys.modules[__name__])
        patch.setattr(Net, "__module__", "gone_for_good")
        write(net, path)
    with pytest.raises(BundleError, match=r"cannot be imported here.*gone_for_good"):
        load_teacher(path, trust=True)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("value", [3, "text", {"a": 1}, {}, [1, "b"], None])
def test_files_that_hold_no_model_are_refused(tmp_path, write, value):
    write(value, tmp_path / "t.pt")
    for trust in (False, True):
        with pytest.raises(BundleError, match=r"Cannot load '.*t\.pt'"):
            load_teacher(tmp_path / "t.pt", trust=trust)


def test_a_tensor_is_no_teacher(tmp_path):
    torch.save(torch.full((3, 2), 0.5), tmp_path / "t.pt")
    with pytest.raises(BundleError, match="holds a Tensor, not a model"):
        load_teacher(tmp_path / "t.pt")


@pytest.mark.parametrize("write", [write_torch, write_legacy_torch])
def test_truncated_files_are_refused(net, tmp_path, here, write):
    path = tmp_path / "t.pt"
    write(net.state_dict(), path)
    content = path.read_bytes()
    for length in [1, 3, 4, 16, 100, *(len(content) * np.arange(1, 10) // 10), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(BundleError, match=r"t\.pt"):
            load_teacher(path, arch=f"{here}:Net")


def test_a_flipped_bit_is_noticed_or_harmless(trained, tmp_path):
    path = save_teacher(trained.members[0], tmp_path / "t.pt")
    logits = trained.members[0].logits(X)
    content = bytearray(path.read_bytes())
    n_refused = 0
    positions = range(0, len(content), 37)
    for position in positions:
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        content[position] ^= 1 << position % 8
        try:
            again = load_teacher(path)
        except BundleError:
            n_refused += 1
        else:
            np.testing.assert_array_equal(again.logits(X), logits)
    assert n_refused > len(positions) / 3


def test_empty_foreign_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "t.pt"
    for content, message in [
        (b"", "the file is empty"),
        (b"col1,col2\n1,2\n", "no teacher file"),
        (b"PK\x03\x04" + bytes(100), "damaged or truncated"),
        (b"\x80\x04\x95", "it is a pickle"),
    ]:
        path.write_bytes(content)
        with pytest.raises(BundleError, match=message):
            load_teacher(path)
    with pytest.raises(FileNotFoundError, match="There is no teacher file at"):
        load_teacher(tmp_path / "none.pt")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_teacher(tmp_path)


def test_a_device_that_is_not_there_is_refused_before_reading(trained, tmp_path):
    path = save_teacher(trained, tmp_path / "t.pt")
    with pytest.raises(ValueError, match="'device' of a teacher") as caught:
        load_teacher(path, device="gpu")
    assert not isinstance(caught.value, BundleError)  # nothing is wrong with the file


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_os_error(tmp_path):
    (tmp_path / "t.pt").touch(mode=0)
    with pytest.raises(PermissionError):
        load_teacher(tmp_path / "t.pt")


def test_an_empty_onnx_file_is_refused(tmp_path):
    (tmp_path / "t.onnx").touch()
    with pytest.raises(BundleError, match="the file is empty"):
        load_teacher(tmp_path / "t.onnx")


def test_other_zip_archives_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", P=X)
    with pytest.raises(BundleError, match="zip archive that torch did not write"):
        load_teacher(tmp_path / "t.npz")
    save(SoftDecisionTreeClassifier(depth=1, epochs=1).fit(X, Y), tmp_path / "student")
    with pytest.raises(BundleError, match=r"a student's bundle; load it with soft_students\.load"):
        load_teacher(tmp_path / "student")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t/data.pkl", bytes(2**27))
    with pytest.raises(BundleError, match="unpacks to far more"):
        load_teacher(tmp_path / "t.pt")


def test_options_that_would_be_ignored_are_refused(trained, net, tmp_path, here, monkeypatch):
    own = save_teacher(trained, tmp_path / "own.pt")
    for options in ({"classes": [1, 2]}, {"arch": f"{here}:Net"}, {"output": "logits"}):
        with pytest.raises(ValueError, match=f"'{next(iter(options))}'.* does not apply"):
            load_teacher(own, **options)
    monkeypatch.setattr(Net, "__module__", here)
    write_torch(net, tmp_path / "pickled.pt")
    with pytest.raises(ValueError, match="'arch' does not apply"):
        load_teacher(tmp_path / "pickled.pt", trust=True, arch=f"{here}:Net")
