"""A boosted training that is interrupted goes on to the model of one that was not, bit for bit."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes

from soft_students import XGBoostStudentClassifier, XGBoostStudentRegressor
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.students.classical import boosting_rounds
from soft_students.students.classical.soft_cross_entropy import SoftCrossEntropy
from soft_students.students.files import dumps
from soft_students.students.xgboost import ubjson
from soft_students.transfer import Munge
from tests.references import ubjson as written

SMALL = {"n_estimators": 12, "max_depth": 3, "n_jobs": 1, "random_state": 0}
SETTINGS = {
    "plain": {},
    "temperature": {"temperature": 3.0, "hard_weight": 0.3},
    "chosen temperature": {"temperature": "auto"},
    "early stopping": {"learning_rate": 1.0, "n_estimators": 60, "early_stopping_rounds": 4},
    "several outputs a tree": {"multi_strategy": "multi_output_tree"},
    "leafwise": {"grow_policy": "lossguide", "max_leaves": 5, "gamma": 0.1},
    "exact": {"tree_method": "exact"},
    "approximate": {"tree_method": "approx", "max_bin": 16},
}
SAMPLED = {
    "rows": {"subsample": 0.5},
    "columns": {"colsample_bytree": 0.5},
    "levels and nodes": {"colsample_bylevel": 0.7, "colsample_bynode": 0.7},
    "early stopping": {"subsample": 0.5, "learning_rate": 0.15, "early_stopping_rounds": 3},
}


pytestmark = pytest.mark.usefixtures("every_round")


def model(student):
    return bytes(student.estimator_.get_booster().save_raw("ubj"))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_goes_on_to_the_same_model(lesson, interrupt, path, settings):
    X, targets, y = lesson
    whole = XGBoostStudentClassifier(**{**SMALL, **settings}).fit(X, targets, labels=y)
    student = XGBoostStudentClassifier(**{**SMALL, **settings}, checkpoint=path, resume=True)
    for after in (3, 1):
        interrupt(student, after, X, targets, labels=y)
        assert not hasattr(student, "classes_")
        assert path.exists()
    student.fit(X, targets, labels=y)
    assert not path.exists()
    assert model(student) == model(whole)
    np.testing.assert_array_equal(student.predict_proba(X), whole.predict_proba(X))
    assert dumps(student) == dumps(whole)


@pytest.mark.parametrize("settings", SAMPLED.values(), ids=SAMPLED)
def test_draws_go_on_after_a_part(lesson, interrupt, path, settings):
    X, targets, y = lesson
    settings = {**SMALL, "n_estimators": 45, **settings, "checkpoint": path, "resume": True}
    whole = XGBoostStudentClassifier(**settings).fit(X, targets, labels=y)
    student = XGBoostStudentClassifier(**settings)
    interrupt(student, 2, X, targets, labels=y)
    interrupt(student, 1, X, targets, labels=y)
    student.fit(X, targets, labels=y)
    assert model(student) == model(whole)
    other = XGBoostStudentClassifier(**settings).set_params(random_state=1).fit(X, targets)
    assert model(other) != model(whole)


def test_a_transfer_set_is_made_again(wine, wine_teacher, interrupt, path):
    settings = {**SMALL, "transfer": Munge(), "transfer_copies": 1}
    whole = XGBoostStudentClassifier(**settings).fit(wine[0], wine_teacher)
    student = XGBoostStudentClassifier(**settings, checkpoint=path, resume=True)
    interrupt(student, 3, wine[0], wine_teacher)
    assert model(student.fit(wine[0], wine_teacher)) == model(whole)


def test_two_classes_and_categories(interrupt, path, rng):
    X = pd.DataFrame(
        {
            "number": rng.normal(size=200),
            "kind": pd.Categorical(rng.choice(list("abcde"), 200), categories=list("edcba")),
        }
    )
    p = np.where(X["kind"].isin(["a", "d"]), 0.8, 0.3) + 0.1 * np.tanh(X["number"])
    targets = np.stack([1 - p, p], axis=1)
    whole = XGBoostStudentClassifier(**SMALL).fit(X, targets)
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 4, X, targets)
    renamed = X.rename(columns={"kind": "sort"})
    recoded = X.assign(kind=X["kind"].cat.rename_categories(list("vwxyz")))
    for other in (renamed, recoded):
        with pytest.raises(ValueError, match="other parameters or other data"):
            student.fit(other, targets)
    assert model(student.fit(X, targets)) == model(whole)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_bin": 8},
        {"tree_method": "exact"},
        {"n_estimators": 60, "learning_rate": 1.0, "early_stopping_rounds": 4},
    ],
    ids=["plain", "bins", "exact", "early stopping"],
)
def test_regressor(interrupt, path, settings, n_outputs):
    X, y = load_diabetes(return_X_y=True)
    weights = np.linspace(0.5, 2, len(y))
    y = y if n_outputs == 1 else np.stack([y, -y + X[:, 0]], axis=1)
    settings = {**SMALL, **settings}
    whole = XGBoostStudentRegressor(**settings).fit(X, y, sample_weight=weights)
    student = XGBoostStudentRegressor(**settings, checkpoint=path, resume=True)
    interrupt(student, 3, X, y, sample_weight=weights)
    student.fit(X, y, sample_weight=weights)
    assert model(student) == model(whole)
    np.testing.assert_array_equal(student.predict(X), whole.predict(X))


def test_only_the_missing_rounds_are_trained(lesson, interrupt, monkeypatch, path):
    X, targets, _ = lesson
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 9, X, targets)
    ends, end_round = [], boosting_rounds.BoostingRounds.end_round

    def counted(self, *args):
        ends.append(self.n_done)
        return end_round(self, *args)

    monkeypatch.setattr(boosting_rounds.BoostingRounds, "end_round", counted)
    student.fit(X, targets)
    assert ends == [9, 10, 11]


def test_an_early_stop_counts_the_rounds_before_the_interruption(lesson, interrupt, path):
    X, targets, _ = lesson
    settings = {**SMALL, **SETTINGS["early stopping"]}
    whole = XGBoostStudentClassifier(**settings).fit(X, targets)
    best = whole.estimator_.get_booster().num_boosted_rounds() - 1
    assert 1 < best < 50
    student = XGBoostStudentClassifier(**settings, checkpoint=path, resume=True)
    interrupt(student, best + 3, X, targets)  # two rounds are left of four
    student.fit(X, targets)
    assert student.estimator_.get_booster().num_boosted_rounds() == best + 1


def test_quick_rounds_write_no_checkpoint(lesson, monkeypatch, path):
    monkeypatch.setattr(boosting_rounds, "CHECKPOINT_INTERVAL", 3600.0)
    monkeypatch.setattr(Checkpoint, "write", None)
    XGBoostStudentClassifier(**SMALL, checkpoint=path).fit(lesson[0], lesson[1])


CHANGES = {
    "parameter": lambda s, X, Q, w: (s.set_params(learning_rate=0.2), X, Q, w),
    "rounds": lambda s, X, Q, w: (s.set_params(n_estimators=13), X, Q, w),
    "temperature": lambda s, X, Q, w: (s.set_params(temperature=2.0), X, Q, w),
    "sampling": lambda s, X, Q, w: (s.set_params(subsample=0.5), X, Q, w),
    "early stopping": lambda s, X, Q, w: (s.set_params(early_stopping_rounds=3), X, Q, w),
    "rows": lambda s, X, Q, w: (s, X + 1, Q, w),
    "targets": lambda s, X, Q, w: (s, X, np.roll(Q, 60, axis=0), w),
    "weights": lambda s, X, Q, w: (s, X, Q, w + np.arange(len(w))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_of_another_training_is_refused(lesson, interrupt, path, change):
    X, targets, _ = lesson
    weights = np.ones(len(X))
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 2, X, targets, sample_weight=weights)
    before = path.read_bytes()
    other, X, targets, weights = change(student, X, targets, weights)
    with pytest.raises(ValueError, match="other parameters or other data"):
        other.fit(X, targets, sample_weight=weights)
    assert path.read_bytes() == before
    other.set_params(resume=False).fit(X, targets, sample_weight=weights)
    assert not path.exists()


def test_the_seed_matters_only_where_it_is_used(lesson, interrupt, path):
    X, targets, _ = lesson
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 2, X, targets)
    student.set_params(random_state=None, n_jobs=2).fit(X, targets)
    student.set_params(subsample=0.5, random_state=0)
    interrupt(student, 2, X, targets)
    with pytest.raises(ValueError, match="other parameters or other data"):
        student.set_params(random_state=1).fit(X, targets)


def test_a_failing_training_keeps_its_checkpoint(lesson, interrupt, monkeypatch, path):
    X, targets, _ = lesson
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 2, X, targets)
    before = path.read_bytes()

    def fail(self, margins, data):
        raise RuntimeError("the objective fails")

    with monkeypatch.context() as patch:
        patch.setattr(SoftCrossEntropy, "__call__", fail)
        with pytest.raises(RuntimeError, match="the objective fails"):
            student.fit(X, targets)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint at all"])
def test_a_damaged_file_is_refused(lesson, path, content):
    path.write_bytes(content)
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match=r"damaged or not a checkpoint.*resume=False"):
        student.fit(lesson[0], lesson[1])
    assert path.read_bytes() == content


DAMAGE = {
    "no rounds": lambda state: state.pop("rounds"),
    "too many rounds": lambda state: state.update(rounds=10**6),
    "no model": lambda state: state.pop("model"),
    "cut model": lambda state: state.update(model=state["model"][:-9]),
    "model as text": lambda state: state.update(model="trees"),
    "other rounds": lambda state: state.update(rounds=state["rounds"] + 1),
    "losses": lambda state: state.update(losses=[0.1]),
    "child beyond the nodes": lambda state: state.update(model=forged(state["model"])),
}


def forged(kept):
    """Let a node of the first tree have a child that is not there."""
    content = ubjson.read_ubjson(kept.numpy().tobytes())
    tree = content["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["left_children"][0] = 10**6
    return torch.from_numpy(np.frombuffer(written.dumps(content), dtype=np.uint8).copy())


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_forged_state_never_reaches_xgboost(lesson, interrupt, path, damage):
    X, targets, _ = lesson
    student = XGBoostStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 4, X, targets)
    content = torch.load(path, weights_only=True)
    damage(content["stages"][0])
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"damaged or not a checkpoint.*resume=False"):
        student.fit(X, targets)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"checkpoint": 3}, "'checkpoint' parameter"),
        ({"resume": "yes"}, "'resume' parameter"),
    ],
)
def test_parameters_are_checked(lesson, parameters, match):
    with pytest.raises(ValueError, match=match):
        XGBoostStudentClassifier(**SMALL, **parameters).fit(lesson[0], lesson[1])


def test_an_unwritable_checkpoint_is_an_error(lesson, tmp_path):
    student = XGBoostStudentClassifier(**SMALL, checkpoint=tmp_path / "none" / "c")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        student.fit(lesson[0], lesson[1])


def test_what_the_checkpoint_was_called_is_not_saved(lesson, tmp_path):
    student = XGBoostStudentClassifier(**SMALL, checkpoint=tmp_path / "secret")
    assert b"secret" not in dumps(student.fit(lesson[0], lesson[1]))
