import copy
import io
import math

import numpy as np
import pytest
import torch
from torch import nn

from soft_students.teachers.checkpoint import (
    FORMAT,
    FORMAT_VERSION,
    TrainingRecord,
    record_test_accuracy,
    save_teacher,
    teacher_from_checkpoint,
)
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.network import BuiltNetwork
from soft_students.teachers.preprocessing import Standardize
from soft_students.teachers.torch_module import TorchTeacher
from tests.references import teacher_v1 as numbered

N_FEATURES = 6
X = np.random.RandomState(0).rand(20, N_FEATURES).astype(np.float32)


def make_teacher(seed=0, classes=(0, 1, 2)):
    torch.manual_seed(seed)
    network = BuiltNetwork("mlp", (N_FEATURES,), len(classes), {"hidden": [8], "dropout": 0.1})
    network.train()
    network(torch.randn(32, N_FEATURES))  # moves the running statistics away from 0 and 1
    teacher = TorchTeacher(
        network.eval(),
        classes=np.asarray(classes),
        input_shape=(N_FEATURES,),
        preprocess=Standardize.fit(X, (N_FEATURES,)),
        input_range=(0.0, 1.0),
        name="mlp",
        device="cpu",
        batch_size=256,
    )
    teacher.record = TrainingRecord({"validation": 0.75}, seed, {"name": "toy", "n_train": 32})
    return teacher


def payload_of(teacher, folder):
    path = save_teacher(teacher, folder / "t.pt")
    return torch.load(path, weights_only=True, map_location="cpu")


@pytest.fixture
def payload(tmp_path):
    return payload_of(make_teacher(), tmp_path)


def test_a_saved_teacher_gives_the_same_logits_and_keeps_its_facts(tmp_path):
    teacher = make_teacher()
    again = teacher_from_checkpoint(payload_of(teacher, tmp_path))
    np.testing.assert_array_equal(again.logits(X), teacher.logits(X))
    np.testing.assert_array_equal(again.classes_, [0, 1, 2])
    assert again.input_range_ == (0.0, 1.0)
    assert again.name == "mlp"
    assert again.n_features_in_ == N_FEATURES
    assert again.record == teacher.record


def test_an_image_network_survives_the_file(tmp_path):
    torch.manual_seed(0)
    images = np.random.RandomState(1).rand(5, 3 * 8 * 9).astype(np.float32)
    teacher = TorchTeacher(
        BuiltNetwork("resnet", (3, 8, 9), 2).eval(),
        classes=np.array([4, 9]),
        input_shape=(3, 8, 9),
        preprocess=Standardize.fit(images, (3, 8, 9)),
        input_range=(0.0, 1.0),
        name="resnet",
        device="cpu",
        batch_size=256,
    )
    again = teacher_from_checkpoint(payload_of(teacher, tmp_path))
    np.testing.assert_array_equal(again.logits(images), teacher.logits(images))


@pytest.mark.parametrize(
    "classes", [["ant", "bee", "cow"], [-1, 5, 1000], [0.5, 1.5, 2.5], [False, True]]
)
def test_classes_keep_their_values_and_kind(tmp_path, classes):
    again = teacher_from_checkpoint(payload_of(make_teacher(classes=classes), tmp_path))
    assert again.classes_.tolist() == classes
    assert set(again.predict(X)) <= set(classes)


def test_classes_keep_the_order_of_the_outputs(tmp_path):
    again = teacher_from_checkpoint(payload_of(make_teacher(classes=[2, 0, 1]), tmp_path))
    assert again.classes_.tolist() == [2, 0, 1]


@pytest.mark.parametrize("arch", list(numbered.LAYERS))
def test_files_of_version_1_numbered_their_layers_and_still_load(tmp_path, arch):
    torch.manual_seed(0)
    images = np.random.RandomState(1).rand(5, 100).astype(np.float32)
    old = numbered.NumberedNetwork(arch)
    old.train()(torch.randn(64, 1, 10, 10))  # moves the running statistics away from 0 and 1
    teacher = TorchTeacher(
        BuiltNetwork(arch, (1, 10, 10), 3, numbered.CONFIGS[arch]),
        input_shape=(1, 10, 10),
        preprocess={"mean": [0.0], "std": [1.0]},
    )
    payload = payload_of(teacher, tmp_path)
    payload["format_version"] = 1
    assert set(payload["members"][0]["state_dict"]).isdisjoint(old.state_dict())
    payload["members"][0]["state_dict"] = dict(old.state_dict())
    with torch.no_grad():
        expected = old.eval()(torch.from_numpy(images).view(5, 1, 10, 10))
    found = teacher_from_checkpoint(payload).logits(images)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    payload["members"][0]["state_dict"].popitem()
    with pytest.raises(ValueError, match="missing or extra"):
        teacher_from_checkpoint(payload)


def test_what_a_safe_file_cannot_hold_is_refused_when_saving(tmp_path):
    teacher = make_teacher()
    teacher.record.data["when"] = np.datetime64("2026-01-01")
    with pytest.raises(TypeError, match="plain JSON values only"):
        save_teacher(teacher, tmp_path / "t.pt")
    dates = np.array(["2026-01-01", "2026-01-02", "2026-01-03"], dtype="datetime64[D]")
    with pytest.raises(TypeError, match=r"numbers or strings\. Got date.*astype\(str\)"):
        save_teacher(make_teacher(classes=dates), tmp_path / "t.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_an_ensemble_keeps_its_members_weights_and_average(tmp_path, average):
    members = [make_teacher(seed) for seed in (1, 2)]
    ensemble = EnsembleTeacher(members, weights=[3.0, 1.0], average=average)
    ensemble.record = TrainingRecord({"test": 0.5}, None, {"name": "toy"})
    again = teacher_from_checkpoint(payload_of(ensemble, tmp_path))
    np.testing.assert_allclose(again.predict_proba(X), ensemble.predict_proba(X), atol=1e-12)
    first, second = (member.predict_proba(X) for member in members)
    if average == "probabilities":
        np.testing.assert_allclose(again.predict_proba(X), 0.75 * first + 0.25 * second, atol=1e-6)
    assert [member.record.seed for member in again.members] == [1, 2]
    assert again.record == ensemble.record


def test_members_may_differ_in_everything_but_the_set_of_classes(tmp_path):
    torch.manual_seed(0)
    image_teacher = TorchTeacher(
        BuiltNetwork("resnet", (1, 4, 4), 3).eval(),
        classes=np.array([2, 0, 1]),
        input_shape=(1, 4, 4),
        preprocess=Standardize(torch.full((1, 1, 1), 0.2), torch.full((1, 1, 1), 3.0)),
        name="resnet",
    )
    images = np.random.RandomState(0).rand(9, 16).astype(np.float32)
    table_teacher = TorchTeacher(
        BuiltNetwork("mlp", (16,), 3).eval(),
        classes=np.array([0, 1, 2]),
        input_shape=(16,),
        preprocess=Standardize.fit(images, (16,)),
        input_range=(0.0, 2.0),
        name="mlp",
    )
    ensemble = EnsembleTeacher([image_teacher, table_teacher], average="logits")
    again = teacher_from_checkpoint(payload_of(ensemble, tmp_path))
    np.testing.assert_array_equal(again.logits(images), ensemble.logits(images))
    np.testing.assert_array_equal(again.predict(images), ensemble.predict(images))
    assert [member.input_range_ for member in again.members] == [None, (0.0, 2.0)]


def test_the_file_holds_plain_values_only(payload):
    def check(value):
        if isinstance(value, dict):
            for key, each in value.items():
                assert isinstance(key, str)
                check(each)
        elif isinstance(value, list):
            for each in value:
                check(each)
        else:
            assert value is None or type(value) in (torch.Tensor, str, int, float, bool)

    check(payload)
    assert payload["format"] == FORMAT == "soft-students teacher"
    assert payload["format_version"] == FORMAT_VERSION


def test_the_test_accuracy_is_measured_and_kept(tmp_path):
    members = [make_teacher(seed) for seed in (1, 2)]
    ensemble = EnsembleTeacher(members, average="logits")
    ensemble.record = TrainingRecord()
    y = members[0].predict(X)
    accuracy = record_test_accuracy(ensemble, X, y)
    assert accuracy == np.mean(ensemble.predict(X) == y)
    payload = payload_of(ensemble, tmp_path)
    assert payload["record"]["accuracy"]["test"] == accuracy
    first, second = (member["record"]["accuracy"] for member in payload["members"])
    assert first == {"validation": 0.75, "test": 1.0}
    assert second["test"] == np.mean(members[1].predict(X) == y)


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path):
    path = tmp_path / "t.pt"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        save_teacher(make_teacher(), path, overwrite=False)
    assert path.read_bytes() == b"mine"
    save_teacher(make_teacher(), path)
    assert path.read_bytes() != b"mine"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = save_teacher(make_teacher(), tmp_path / "t.pt")
    before = path.read_bytes()

    def interrupted(payload, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_teacher(make_teacher(1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_network_that_is_not_of_the_registry_is_refused_with_a_way_out(tmp_path):
    teacher = TorchTeacher(
        nn.Linear(N_FEATURES, 3),
        classes=np.arange(3),
        input_shape=(N_FEATURES,),
        preprocess=None,
        input_range=None,
        name="mine",
        device="cpu",
        batch_size=256,
    )
    with pytest.raises(TypeError, match=r"made by train_teacher.* Got Linear.*torch\.export\.save"):
        save_teacher(teacher, tmp_path / "t.pt")
    assert not list(tmp_path.iterdir())


def test_a_payload_of_another_kind_is_refused():
    for other in ({}, {"format": "other"}, [1], None, {"weight": torch.zeros(3)}):
        with pytest.raises(ValueError, match="no soft-students teacher"):
            teacher_from_checkpoint(other)


def test_a_newer_format_asks_for_an_upgrade(payload):
    payload["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(ValueError, match="Upgrade soft-students"):
        teacher_from_checkpoint(payload)


@pytest.mark.parametrize("version", [0, -1, "1", None, True, 1.5])
def test_an_unknown_format_version_is_refused(payload, version):
    payload["format_version"] = version
    with pytest.raises(ValueError, match="has format version"):
        teacher_from_checkpoint(payload)


TOP = ["members", "average", "record"]
MEMBER = [
    "arch",
    "config",
    "input_shape",
    "state_dict",
    "classes",
    "preprocess",
    "input_range",
    "weight",
    "record",
]
RECORD = ["accuracy", "seed", "data"]


def _delete(path):
    def change(payload):
        *folders, last = path
        for key in folders:
            payload = payload[key]
        del payload[last]

    return change


@pytest.mark.parametrize(
    "path",
    [
        *[(key,) for key in TOP],
        *[("record", key) for key in RECORD],
        *[("members", 0, key) for key in MEMBER],
        *[("members", 0, "record", key) for key in RECORD],
        ("members", 0, "preprocess", "mean"),
    ],
)
def test_each_missing_entry_is_named(payload, path):
    _delete(path)(payload)
    with pytest.raises(ValueError, match=f"damaged: '{path[-1]}' is missing"):
        teacher_from_checkpoint(payload)


@pytest.mark.parametrize("key", TOP)
@pytest.mark.parametrize("value", [None, 3, "x", [[]], {"a": 1}, True])
def test_values_of_another_type_never_pass(payload, key, value):
    payload[key] = value
    with pytest.raises(ValueError, match="damaged"):
        teacher_from_checkpoint(payload)


@pytest.mark.parametrize("key", MEMBER)
@pytest.mark.parametrize("value", ["x", [[]], {"a": 1}, True])
def test_values_of_another_type_never_pass_in_a_member(payload, key, value):
    payload["members"][0][key] = value
    with pytest.raises(ValueError, match=r"damaged|Unknown network|no setting"):
        teacher_from_checkpoint(payload)


def _set(path, value):
    def change(payload):
        *folders, last = path
        for key in folders:
            payload = payload[key]
        payload[last] = value

    return change


def _weight(change):
    def apply(payload):
        state = payload["members"][0]["state_dict"]
        state["layers.linear1.weight"] = change(state["layers.linear1.weight"])

    return apply


FIRST = ("members", 0)
STATE = (*FIRST, "state_dict")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(("members",), []), "not a list of at least one dictionary"),
        (_set(FIRST, 5), "not a list of at least one dictionary"),
        (_set(("record", "seed"), "7"), "'seed' is of type str"),
        (_set(("record", "data"), {"x": torch.zeros(2)}), "values that JSON lacks"),
        (_set(("average",), "median"), "'average' is 'median'"),
        (_set((*FIRST, "classes"), [0, 1]), "shape"),
        (_set((*FIRST, "classes"), [0, 1, "2"]), "not all numbers or all strings"),
        (_set((*FIRST, "classes"), [0, 1, 1]), "distinct labels"),
        (_set((*FIRST, "classes"), [0.0, 1.0, math.nan]), "distinct labels"),
        (_set((*FIRST, "classes"), [0]), "at least two distinct"),
        (_set((*FIRST, "input_shape"), [7]), r"has shape \(8, 6\), not \(8, 7\)"),
        (_set((*FIRST, "input_shape"), [-6]), "'input_shape'"),
        (_set((*FIRST, "input_shape"), [6.0]), "'input_shape'"),
        (_set((*FIRST, "input_shape"), [2**40]), "too large"),
        (_set((*FIRST, "input_range"), [1.0]), "pair of numbers"),
        (_set((*FIRST, "input_range"), [1.0, 0.0]), r"from 1\.0 down to 0\.0"),
        (_set((*FIRST, "input_range"), [0.0, math.nan]), "not a finite number"),
        (_set((*FIRST, "preprocess", "std"), torch.zeros(N_FEATURES)), "not positive"),
        (
            _set((*FIRST, "preprocess", "std"), torch.full((N_FEATURES,), math.inf)),
            "NaN or infinite",
        ),
        (_set((*FIRST, "preprocess", "mean"), torch.zeros(N_FEATURES).double()), "float64"),
        (_set((*FIRST, "preprocess", "mean"), 0.5), "'mean' is of type float"),
        (_set(("record", "accuracy"), {"test": 1.5}), r"not in the range \[0, 1\]"),
        (_set(("record", "accuracy"), {"test": "high"}), "not a finite number"),
        (_set((*FIRST, "weight"), -1.0), "is negative"),
        (_set((*FIRST, "weight"), math.inf), "not a finite number"),
        (_set((*FIRST, "arch"), "transformer"), "Unknown network 'transformer'"),
        (_set((*FIRST, "arch"), "cnn"), "takes images"),
        (_set((*FIRST, "config", "hidden"), [9]), "shape"),
        (_set((*FIRST, "config", "hidden"), [10**12]), "range"),
        (_set((*FIRST, "config", "hidden"), [8, 8]), "missing or extra"),
        (_set((*STATE, "extra"), torch.zeros(1)), "'extra' is missing or extra"),
        (_set((*STATE, "layers.linear1.weight"), "text"), "not a tensor"),
        (_set((*STATE, "layers.norm1.running_var"), torch.full((8,), -1.0)), "negative variance"),
        (_weight(lambda weight: weight * math.nan), "NaN or infinite"),
        (_weight(lambda weight: weight / 0), "NaN or infinite"),
        (_weight(lambda weight: weight[:, :-1]), "has shape"),
        (_weight(lambda weight: weight.double()), "not a tensor of torch.float32"),
        (_weight(lambda weight: torch.zeros(1).expand(8, N_FEATURES)), "more values than are"),
    ],
)
def test_each_damage_is_refused_and_named(payload, change, message):
    change(payload)
    with pytest.raises(ValueError, match=message):
        teacher_from_checkpoint(payload)


def test_loading_does_not_change_the_payload(payload):
    before = copy.deepcopy(payload)
    teacher_from_checkpoint(payload).logits(X)
    file, file_before = io.BytesIO(), io.BytesIO()
    torch.save(payload, file)
    torch.save(before, file_before)
    assert file.getvalue() == file_before.getvalue()
