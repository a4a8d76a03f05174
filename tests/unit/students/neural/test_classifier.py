"""The neural student's side of the contract; methods are tested in tests/unit/methods."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from torch import nn

from soft_students import DistilledClassifier, NeuralStudentClassifier
from soft_students.methods import AT, KD
from soft_students.networks.convolutional import small_cnn
from soft_students.networks.zoo import make_network
from soft_students.persistence import BundleError, checkpoints
from soft_students.students.files import dumps, load, loads
from soft_students.students.neural import classifier
from soft_students.teachers import TorchTeacher, as_teacher


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400].astype(np.float32), y[:400]


@pytest.fixture(scope="module")
def logistic(digits):
    return LogisticRegression(max_iter=2000).fit(*digits)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return make_network("small_cnn", (1, 8, 8), 10)


def quick(module="mlp", **parameters):
    settings = {"epochs": 2, "random_state": 0, **parameters}
    return NeuralStudentClassifier(module, **settings)


def weights(student):
    return torch.cat([p.detach().flatten() for p in student.module_.parameters()])


def test_any_teacher_teaches_by_soft_targets(digits, logistic):
    X, y = digits
    for teacher in (logistic, logistic.predict_proba, logistic.predict_proba(X)):
        student = quick(epochs=10).fit(X, teacher)
        assert np.mean(student.predict(X) == logistic.predict(X)) > 0.9
    assert quick(epochs=10).fit(X, y).score(X, y) > 0.9


def test_labels_alone_are_plain_training(digits):
    X, y = digits
    plain = quick(method="kd").fit(X, y)
    assert list(plain.history_[0])[2:3] == ["labels"]
    assert torch.equal(weights(plain), weights(quick(method="at,kd").fit(X, y)))


def test_without_labels_the_teacher_takes_their_place(digits, network):
    X, _ = digits
    teacher = TorchTeacher(network.eval(), input_shape=(1, 8, 8))
    student = quick("small_cnn", method="at", epochs=10).fit(X, teacher)
    assert np.mean(student.predict(X) == teacher.predict(X)) > 0.5
    assert "labels" in student.history_[0]


def test_images_take_the_teachers_shape_or_are_square(digits, network):
    X, y = digits
    teacher = TorchTeacher(network.eval(), input_shape=(1, 8, 8))
    assert quick("small_cnn").fit(X, teacher).input_shape_ == (1, 8, 8)
    assert quick("small_cnn").fit(X, y).input_shape_ == (1, 8, 8)
    assert quick("small_cnn", input_shape=(4, 16)).fit(X, y).input_shape_ == (1, 4, 16)
    with pytest.raises(ValueError, match="takes 49 features per row"):
        quick("small_cnn", input_shape=(7, 7)).fit(X, y)
    with pytest.raises(ValueError, match="takes images of shape"):
        quick("small_cnn").fit(X[:, :60], y)


def test_a_given_module_is_copied_and_a_factory_called(digits):
    X, y = digits
    module = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    before = copy.deepcopy(module.state_dict())
    student = quick(module).fit(X, y)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    asked = []

    def factory(input_shape, n_classes):
        asked.append((input_shape, n_classes))
        return nn.Linear(64, n_classes)

    quick(factory).fit(X, y)
    assert asked[0] == ((64,), 10)
    assert clone(student).get_params()["module"] is not None
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module"):
        quick(lambda shape, n: None).fit(X, y)


def test_the_callers_random_numbers_stay_as_they_are(digits):
    state = torch.get_rng_state()
    quick().fit(*digits)
    assert torch.equal(state, torch.get_rng_state())


def test_the_best_epoch_on_held_out_rows_is_kept(digits):
    X, y = digits
    rng = np.random.RandomState(0)
    student = quick(epochs=6, learning_rate=0.05, schedule="constant").fit(X, y)
    best = max(row["validation_accuracy"] for row in student.history_)
    assert best > 0
    last = quick(epochs=6, validation_fraction=0.0).fit(X, y)
    assert last.history_[-1]["validation_accuracy"] is None
    assert rng is not None
    frame = pd.DataFrame(student.history_)
    assert {"stage", "epoch", "labels", "validation_loss", "seconds"} <= set(frame.columns)


@pytest.mark.parametrize("method", ["kd", "at,kd"])
def test_a_resumed_training_ends_bit_for_bit_the_same(digits, network, tmp_path, method):
    X, y = digits[0][:150], digits[1][:150]
    teacher = TorchTeacher(network.eval(), input_shape=(1, 8, 8))
    path = tmp_path / "training.pt"
    whole = quick("small_cnn", method=method, epochs=4).fit(X, teacher, labels=y)
    student = quick("small_cnn", method=method, epochs=4, checkpoint=path, resume=True)

    class Interrupted(KeyboardInterrupt):
        pass

    write = checkpoints.Checkpoint.write
    count = 0

    def stop_after_two(self, *args):
        nonlocal count
        write(self, *args)
        count += 1
        if count == 2:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "write", stop_after_two)
        with pytest.raises(Interrupted):
            student.fit(X, teacher, labels=y)
    assert path.exists()
    student.fit(X, teacher, labels=y)
    assert torch.equal(weights(student), weights(whole))
    assert [row["epoch"] for row in student.history_] == [1, 2, 3, 4]
    assert not path.exists()


def test_a_checkpoint_of_another_training_is_refused(digits, tmp_path):
    X, y = digits
    path = tmp_path / "training.pt"
    student = quick(epochs=3, checkpoint=path, resume=True, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="The term 'labels' of the loss is nan at batch"):
        student.fit(X, y)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="is damaged or not a checkpoint"):
        quick(checkpoint=path, resume=True).fit(X, y)
    torch.save({"format": "something"}, path)
    with pytest.raises(ValueError, match="of another kind"):
        quick(checkpoint=path, resume=True).fit(X, y)
    content = {
        "format": "soft-students training",
        "format_version": 1,
        "fingerprint": "that of another",
        "stages": [],
        "seconds": 0.0,
    }
    torch.save(content, path)
    with pytest.raises(ValueError, match="other parameters or other data"):
        quick(checkpoint=path, resume=True).fit(X, y)


def test_a_fit_that_fails_keeps_what_was_fitted(digits):
    X, y = digits
    student = quick().fit(X, y)
    before = weights(student)
    student.set_params(learning_rate=1e30)
    with pytest.raises(FloatingPointError):
        student.fit(X, y)
    assert torch.equal(weights(student), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "rdk"}, "Unknown method 'rdk'"),
        ({"method": "kdd"}, "Did you mean 'kd'"),
        ({"method_params": {"temprature": 2}}, "Did you mean 'temperature'"),
        ({"method": "at,kd", "method_params": {"weight": 2}}, "'METHOD.parameter'"),
        ({"method": "kd,kd"}, "can be named once"),
        ({"method": "at"}, "reads the teacher's layers: the teacher must be a PyTorch module"),
        ({"module": "small_cn"}, "'module' parameter"),
        ({"epochs": 0}, "'epochs' parameter"),
    ],
)
def test_bad_parameters_are_refused(digits, logistic, parameters, message):
    X, y = digits
    with pytest.raises(ValueError, match=message):
        quick(**{"module": "small_cnn", **parameters}).fit(X, logistic, labels=y)


def test_an_unknown_layer_lists_those_that_exist(digits, network):
    X, y = digits
    teacher = TorchTeacher(network.eval(), input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"no layer 'activaton3'. Did you mean 'activation3'\?.*"):
        quick("small_cnn", method=AT(student_layers=["activaton3"])).fit(X, teacher, labels=y)
    with pytest.raises(ValueError, match=r"has no layer with feature maps.*linear1 \(64,\)"):
        quick("mlp", method="at").fit(X, teacher, labels=y)


def test_no_rows_need_a_method_that_takes_none(network):
    with pytest.raises(ValueError, match="got no X, which the method 'kd' needs"):
        quick("small_cnn").fit(None, as_teacher(network, input_shape=(1, 8, 8)))


@pytest.mark.parametrize("name", ["mlp", "small_cnn", "resnet8", "wrn_16_1"])
def test_every_module_learns_and_goes_into_a_bundle(digits, name):
    X, y = digits
    frame = pd.DataFrame(X[:60], columns=[f"pixel {i}" for i in range(64)])
    student = quick(name, epochs=1).fit(frame[:40], np.array(list("abcdefghij"))[y[:40]])
    again = loads(dumps(student))
    np.testing.assert_array_equal(again.predict_proba(frame), student.predict_proba(frame))
    np.testing.assert_array_equal(again.feature_names_in_, student.feature_names_in_)
    assert dumps(again) == dumps(student)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(student)).predict(frame), student.predict(frame)
    )


def test_modules_have_the_sizes_of_the_papers():
    """Of CIFAR-100, in millions of parameters, as the field's comparisons give them."""
    published = {"resnet20": 0.28, "resnet56": 0.86, "resnet8x4": 1.23, "resnet32x4": 7.43}
    published |= {"wrn_16_2": 0.70, "wrn_40_1": 0.57, "wrn_40_2": 2.26}
    for name, millions in published.items():
        with torch.device("meta"):
            module = make_network(name, (3, 32, 32), 100)
        assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(
            millions, abs=0.01
        )


def test_a_bundle_brings_no_code(digits):
    X, y = digits
    with pytest.raises(TypeError, match="A bundle contains no code"):
        dumps(quick(nn.Linear(64, 10)).fit(X, y))


@pytest.mark.parametrize(
    "change",
    [
        lambda state, arrays: state.update(classes=np.array([1, 2])),
        lambda state, arrays: state.update(input_shape=(2**40, 2**40)),
        lambda state, arrays: state.update(input_shape=(64, 0)),
        lambda state, arrays: state.update(feature_names=np.array(["one"])),
        lambda state, arrays: arrays.pop("module.classifier.weight"),
        lambda state, arrays: arrays.update(std=-arrays["std"]),
        lambda state, arrays: arrays.update({"module.norm1.running_var": -np.ones(64, "f4")}),
    ],
)
def test_a_forged_bundle_is_refused(digits, change):
    student = quick(epochs=1).fit(*digits)
    state, arrays = student._bundle_state()
    change(state, arrays)
    with pytest.raises((ValueError, BundleError, RuntimeError)):
        quick()._restore_bundle(state, arrays)


def test_it_works_in_a_search(digits, logistic):
    X, y = digits
    search = GridSearchCV(
        DistilledClassifier(quick(epochs=3), logistic),
        [{"student__temperature": [1.0, 4.0]}, {"student__method": ["kd", KD(hard_weight=0.5)]}],
        cv=2,
    ).fit(X, y)
    assert search.best_score_ > 0.5


def test_the_teacher_is_asked_once_about_each_row(digits, network):
    X, y = digits
    asked = []
    network.eval().register_forward_hook(lambda _, args, out: asked.append(len(args[0])))
    teacher = TorchTeacher(network, input_shape=(1, 8, 8))
    quick("small_cnn", method="kd", epochs=5).fit(X, teacher, labels=y)
    assert sum(asked) == len(X)
    asked.clear()
    student = quick("small_cnn", method="at", epochs=5, validation_fraction=0.0)
    kept = student.fit(X, teacher, labels=y)
    assert sum(asked) < 2 * len(X) + 20  # logits, then features; shapes are learnt from two rows
    asked.clear()
    anew = clone(student).set_params(teacher_cache=0).fit(X, teacher, labels=y)
    assert sum(asked) > 5 * len(X)
    assert torch.equal(weights(kept), weights(anew))


def test_snapshots_are_the_student_after_each_epoch(digits, tmp_path):
    X, y = digits
    folder = tmp_path / "snapshots"
    student = quick(epochs=3, snapshots=folder, validation_fraction=0.0).fit(X, y)
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == [f"epoch-000{k}.student" for k in range(4)]
    alone = quick(epochs=3, validation_fraction=0.0).fit(X, y)
    assert torch.equal(weights(alone), weights(student))  # files change nothing
    untrained, *_, last = (load(path) for path in files)
    np.testing.assert_array_equal(last.predict_proba(X), student.predict_proba(X))
    assert untrained.score(X, y) < 0.3
    with pytest.raises(FileExistsError, match="the snapshots of another training"):
        quick(epochs=3, snapshots=folder).fit(X, y)
    with pytest.raises(TypeError, match="A bundle contains no code"):
        quick(nn.Linear(64, 10), snapshots=tmp_path / "other").fit(X, y)
    with pytest.raises(FileExistsError, match="the snapshots of another training"):
        # nothing to go on from
        quick(epochs=3, snapshots=folder, resume=True, checkpoint=tmp_path / "none.pt").fit(X, y)


def test_what_cannot_be_a_snapshot_is_refused_before_the_first_stage(digits, network, tmp_path):
    X, y = digits
    module = small_cnn((1, 8, 8), 10)
    teacher = TorchTeacher(network.eval(), input_shape=(1, 8, 8))
    student = quick(module, method="fitnet", snapshots=tmp_path / "snapshots")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "train", None)
        with pytest.raises(TypeError, match="A bundle contains no code"):
            student.fit(X, teacher, labels=y)


def test_a_resumed_training_leaves_the_snapshots_of_a_whole_one(digits, tmp_path):
    X, y = digits[0][:150], digits[1][:150]
    quick(epochs=4, snapshots=tmp_path / "whole").fit(X, y)
    student = quick(
        epochs=4,
        snapshots=tmp_path / "parts",
        checkpoint=tmp_path / "training.pt",
        resume=True,
    )
    write, done = checkpoints.Checkpoint.write, []

    def stop_in_the_second(self, *args):
        if done:
            raise KeyboardInterrupt  # between a snapshot and its checkpoint
        done.append(write(self, *args))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "write", stop_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            student.fit(X, y)
    assert len(list((tmp_path / "parts").iterdir())) == 3
    student.fit(X, y)
    for k in range(5):
        one, other = (load(tmp_path / f / f"epoch-000{k}.student") for f in ("whole", "parts"))
        assert torch.equal(weights(one), weights(other))


def test_bundles_keep_methods_and_no_paths_of_the_training(digits, tmp_path):
    X, y = digits
    student = quick(method=[KD(temperature=2.0), AT()], checkpoint=tmp_path / "training.pt").fit(
        X, y
    )
    again = loads(dumps(student))
    assert repr(again.method) == repr(student.method)
    assert again.checkpoint is None
