"""Parameters mean in the neural student what they mean in all others."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression

from soft_students import (
    LogisticStudentClassifier,
    NeuralStudentClassifier,
    SoftDecisionTreeClassifier,
)
from soft_students.methods import KD, LossMethod
from soft_students.persistence.bundle import read_bundle, write_bundle
from soft_students.students import available
from soft_students.students.files import dumps, loads
from soft_students.students.tuning import HARD_WEIGHTS, TEMPERATURES
from soft_students.transfer import GaussianNoise, ImageDistortion, Munge

NOISE = GaussianNoise(scale=0.1, discrete=None)


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), y


@pytest.fixture(scope="module")
def teacher(wine):
    return LogisticRegression().fit(*wine)


def quick(**parameters):
    return NeuralStudentClassifier(**{"epochs": 2, "random_state": 0, "n_jobs": 1, **parameters})


def weights(student):
    return torch.cat([p.detach().flatten() for p in student.module_.parameters()])


def test_defaults_are_those_of_other_students():
    parameters = NeuralStudentClassifier().get_params()
    for name, entry in available().items():
        if entry.classifier is None or not entry.is_installed or name == "neural":
            continue
        own = entry.classifier().get_params(deep=False)
        shared = {"temperature", "hard_weight", "transfer", "transfer_copies"} & set(own)
        assert {key: own[key] for key in shared} == {key: parameters[key] for key in shared}
    assert KD().get_params() == {"temperature": 1.0, "hard_weight": 0.0}


# -- temperature and hard weight ------------------------------------------------------------------


def test_temperature_and_hard_weight_are_those_of_soft_targets(wine, teacher):
    X, y = wine
    given = {"temperature": 2.0, "hard_weight": 0.3}
    student = quick(**given).fit(X, teacher, labels=y)
    assert (student.temperature_, student.hard_weight_) == (2.0, 0.3)
    for same in (
        quick(method=KD(**given)),
        quick(method_params=given),
        quick(method_params={"kd.temperature": 2.0}, hard_weight=0.3),
        quick(method_params={"kd": given}, **given),
    ):
        same.fit(X, teacher, labels=y)
        assert torch.equal(weights(same), weights(student))
        assert (same.temperature_, same.hard_weight_) == (2.0, 0.3)
    assert not torch.equal(weights(quick().fit(X, teacher, labels=y)), weights(student))


@pytest.mark.parametrize("hard_weight", [0.0, 0.3])
def test_students_learn_the_same_mixture_of_teacher_and_labels(hard_weight):
    X = np.repeat(np.eye(3), 60, axis=0)
    told = np.repeat([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]], 60, axis=0)
    y = np.repeat([2, 0, 1], 60)
    expected = hard_weight * np.eye(3)[y] + (1 - hard_weight) * told
    settings = {"hard_weight": hard_weight, "random_state": 0}
    for student in (
        quick(epochs=80, validation_fraction=0.0, weight_decay=0.0, **settings),
        SoftDecisionTreeClassifier(3, epochs=300, learning_rate=0.05, **settings),
        LogisticStudentClassifier(C=1e4, **settings),
    ):
        found = student.fit(X, told, labels=y).predict_proba(X)
        np.testing.assert_allclose(found, expected, atol=0.06)


def test_the_temperature_is_undone_in_predictions():
    X = np.repeat(np.eye(2), 60, axis=0)
    told = np.repeat([[0.9, 0.1], [0.3, 0.7]], 60, axis=0)
    for temperature in (1.0, 3.0):
        student = quick(temperature=temperature, epochs=80, validation_fraction=0.0)
        np.testing.assert_allclose(student.fit(X, told).predict_proba(X), told, atol=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"temperature": 2.0, "method_params": {"temperature": 3.0}},
            r"temperature=2\.0 contradicts temperature=3\.0 in method or method_params",
        ),
        ({"hard_weight": 0.5, "method": KD(hard_weight=0.2)}, r"hard_weight=0\.5 contradicts"),
        ({"temperature": "auto", "method": KD()}, "temperature='auto' contradicts"),
        ({"temperature": 2.0, "method": "dkd"}, r"Set method_params=\{'dkd\.temperature': \.\.\."),
        ({"hard_weight": "auto", "method": "ttm"}, "Leave it out, or add 'kd'"),
        ({"method": KD(hard_weight=1.5)}, "'hard_weight' parameter of KD"),
        ({"temperature": None}, "'temperature' parameter of NeuralStudentClassifier"),
    ],
)
def test_settings_without_effect_are_refused(wine, teacher, settings, message):
    X, y = wine
    with pytest.raises(ValueError, match=message):
        quick(**settings).fit(X, teacher, labels=y)


def test_a_setting_of_the_method_wins_over_the_default(wine, teacher):
    student = quick(method="kd", method_params={"kd.temperature": 5.0}).fit(wine[0], teacher)
    assert (student.temperature_, student.hard_weight_) == (5.0, 0.0)


def test_labels_that_weigh_something_must_be_there(wine, teacher):
    with pytest.raises(ValueError, match=r"hard_weight=0\.5 mixes in true labels, but"):
        quick(hard_weight=0.5).fit(wine[0], teacher)


def test_auto_is_chosen_by_soft_targets_alone(wine, teacher, tmp_path):
    X, y = wine
    student = quick(
        temperature="auto",
        hard_weight="auto",
        method="kd,cskd",
        method_params={"cskd.weight": 0.1},
        snapshots=tmp_path / "snapshots",
    ).fit(X, teacher, labels=y)
    assert student.temperature_ in TEMPERATURES
    assert student.hard_weight_ in HARD_WEIGHTS
    assert len(list((tmp_path / "snapshots").iterdir())) == 3
    settled = clone(student).set_params(
        temperature=student.temperature_, hard_weight=student.hard_weight_, snapshots=None
    )
    assert torch.equal(weights(settled.fit(X, teacher, labels=y)), weights(student))
    alone = clone(student).set_params(snapshots=None).fit(X, y)  # on labels
    again = loads(dumps(alone))
    assert (again.temperature, again.temperature_, again.hard_weight_) == ("auto", 1.0, 1.0)


# -- weights --------------------------------------------------------------------------------------


def test_rows_take_part_in_proportion_to_their_weight():
    X = np.repeat(np.eye(2), 200, axis=0)
    y = np.arange(400) % 2  # every row is there with both labels
    weight = np.where(y == 1, [3.0] * 200 + [1.0] * 200, [1.0] * 200 + [4.0] * 200)
    student = quick(epochs=40, validation_fraction=0.0).fit(X, y, sample_weight=weight)
    shares = student.predict_proba(X)[[0, -1], 1]
    np.testing.assert_allclose(shares, [3 / 4, 1 / 5], atol=0.05)


@pytest.mark.parametrize("method", ["kd", "dist", "cskd,kd", "ddgsd", "dml,kd"])
@pytest.mark.parametrize("kept", [0, 2])
def test_rows_without_weight_are_not_learnt(method, kept):
    rng = np.random.RandomState(0)
    X, y = np.tile(rng.normal(size=(60, 5)), (3, 1)), np.repeat([0, 1, 2], 60)
    told = 0.98 * np.eye(3)[y] + 0.02 / 3
    weight = np.where(y == kept, 2.0, np.where(y == 1, 0.3, 0.0))
    student = quick(method=method, epochs=25).fit(X, told, labels=y, sample_weight=weight)
    assert np.mean(student.predict(X[:60]) == kept) > 0.95


def test_equal_weights_change_nothing(wine, teacher):
    X, y = wine
    plain = quick(epochs=3).fit(X, teacher, labels=y)
    equal = quick(epochs=3).fit(X, teacher, labels=y, sample_weight=np.full(len(y), 0.7))
    assert torch.equal(weights(plain), weights(equal))
    for wrong, message in ((np.zeros(len(y)), "zero"), (-y, "Negative")):
        with pytest.raises(ValueError, match=message):
            quick().fit(X, teacher, sample_weight=wrong)


def test_balanced_classes_weigh_the_same(wine):
    X, y = wine
    balanced = quick(epochs=3).fit(X, y, sample_weight="balanced")
    by_hand = quick(epochs=3).fit(X, y, sample_weight=(1 / np.bincount(y))[y])
    assert torch.equal(weights(balanced), weights(by_hand))
    assert not torch.equal(weights(balanced), weights(quick(epochs=3).fit(X, y)))


def test_held_out_rows_are_weighted_too():
    X, y = np.zeros((200, 2)), np.arange(200) % 2
    weight = np.where(y == 1, 9.0, 1.0)
    student = quick(epochs=20, learning_rate=0.05, validation_fraction=0.5).fit(
        X, y, sample_weight=weight
    )
    last = student.history_[-1]["validation_accuracy"]
    assert last == pytest.approx(0.9)  # 0.5, were each row to count alike


# -- further rows ---------------------------------------------------------------------------------


class Counting(LossMethod):
    """Counts the rows of each epoch."""

    key, title, needs = "counting", "For tests", frozenset({"data"})
    paper = KD.paper

    def __init__(self, *, seen):
        self.seen = seen

    def terms(self, step, adapter):
        epoch = step.batch.epoch
        self.seen[epoch] = self.seen.get(epoch, 0) + len(step.batch.inputs)
        return {"counting": 0 * step.student.logits.sum()}


def test_a_transfer_set_makes_rows_once(wine, teacher):
    X, y = wine
    asked, seen = [], {}

    def counted(rows):
        asked.append(len(rows))
        return teacher.predict_proba(rows)

    settings = {"epochs": 3, "validation_fraction": 0.0}
    student = quick(method=["kd", Counting(seen=seen)], transfer=NOISE, transfer_copies=2)
    student.set_params(**settings).fit(X[:100], counted, labels=y[:100], X_unlabeled=X[100:])
    assert asked == [100, 78, 100, 78, 100, 78]
    assert seen == dict.fromkeys(range(3), 3 * 178)
    asked.clear()
    quick(augment=NOISE, **settings).fit(X[:100], counted)  # each batch of each epoch
    assert sum(asked) == 4 * 100


def test_rows_of_a_transfer_set_learn_from_labels_alone_where_they_keep_them(wine):
    X, y = wine
    seen = {}
    weight = np.where(y == 2, 0.0, 1.0)
    student = quick(method=Counting(seen=seen), transfer=NOISE, validation_fraction=0.0)
    student.fit(X, y, sample_weight=weight)
    assert seen[0] == 5 * (y < 2).sum()
    with pytest.raises(ValueError, match="Munge makes rows without labels and needs a teacher"):
        quick(transfer=Munge()).fit(X, y)


def test_a_transfer_set_helps_on_few_rows():
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    teacher = LogisticRegression(max_iter=2000).fit(X[:1000], y[:1000])
    few, settings = X[:60], {"epochs": 20, "temperature": 4.0}
    alone = quick(**settings).fit(few, teacher)
    more = quick(**settings, transfer=ImageDistortion((8, 8)), transfer_copies=8).fit(few, teacher)
    assert more.score(X[1000:], y[1000:]) > alone.score(X[1000:], y[1000:]) + 0.03


def test_the_teacher_is_shown_made_rows_in_the_form_of_x(wine):
    X, y = wine
    frame = pd.DataFrame(X, columns=[f"measure {i}" for i in range(X.shape[1])])
    shown = []

    def named(rows):
        shown.append(list(rows.columns))
        return LogisticRegression().fit(frame, y).predict_proba(rows)

    quick(transfer=NOISE, transfer_copies=1).fit(frame, named)
    assert shown == [list(frame.columns)] * 2


# -- threads, shapes, files -----------------------------------------------------------------------


def test_n_jobs_counts_as_everywhere_in_scikit_learn(wine):
    X, y = wine
    before = torch.get_num_threads()
    one, all_of_them = (quick(n_jobs=n).fit(X, y).predict_proba(X) for n in (1, -1))
    np.testing.assert_allclose(one, all_of_them, atol=1e-3)
    assert torch.get_num_threads() == before
    student = quick(n_jobs=0)
    with pytest.raises(ValueError, match="n_jobs"):
        student.fit(X, y)
    assert not hasattr(student, "module_")


def test_images_of_another_form_are_told_how_to_come():
    with pytest.raises(ValueError, match=r"input_shape=\(1, 8, 8\)"):
        quick(module="small_cnn").fit(np.zeros((10, 1, 8, 8)), np.arange(10) % 2)


@pytest.mark.parametrize(
    ("settings", "now"),
    [
        ({}, (4.0, 0.1)),
        ({"temperature": 2.0}, (2.0, 0.1)),
        ({"method": "kd,cskd", "method_params": {"kd.hard_weight": 0.5}}, (4.0, 0.5)),
        ({"method": "cskd"}, (1.0, 0.0)),
        ({"method": KD(temperature=3.0)}, (3.0, 0.0)),
    ],
)
def test_files_of_earlier_versions_are_read(wine, teacher, tmp_path, settings, now):
    """Their `transfer` distorted batches, and None stood for the settings of the method."""
    X, y = wine
    student = quick(augment=NOISE, epochs=1).fit(X, teacher, labels=y)
    path = tmp_path / "now.student"
    path.write_bytes(dumps(student.set_params(**settings)))
    with path.open("rb") as file:
        bundle = read_bundle(file)
    old = dict.fromkeys(("temperature", "hard_weight"))
    old["transfer"] = bundle.params.pop("augment")
    del bundle.params["transfer_copies"]
    bundle.params.update({n: v for n, v in old.items() if n not in settings})
    del bundle.fitted["temperature"], bundle.fitted["hard_weight"]
    with path.open("wb") as file:
        write_bundle(bundle, file)
    again = loads(path.read_bytes())
    assert repr(again.augment) == repr(NOISE)
    assert again.transfer is None
    assert (again.temperature, again.hard_weight) == now
    np.testing.assert_array_equal(again.predict_proba(X), student.predict_proba(X))
    assert loads(dumps(again)).augment.get_params() == NOISE.get_params()
    clone(again).fit(X, teacher, labels=y)
