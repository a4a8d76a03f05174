"""LightGBM's training that is interrupted goes on to the same model, bit for bit."""

import numpy as np
import pandas as pd
import pytest
import torch

from soft_students import LightGBMStudentClassifier, LightGBMStudentRegressor
from soft_students.students.files import dumps

pytest.importorskip("lightgbm")
pytestmark = pytest.mark.usefixtures("every_round")

SMALL = {
    "n_estimators": 12,
    "num_leaves": 5,
    "min_child_samples": 4,
    "n_jobs": 1,
    "random_state": 0,
}
SETTINGS = {
    "plain": {},
    "temperature": {"temperature": 3.0, "hard_weight": 0.3},
    "chosen temperature": {"temperature": "auto"},
    "early stopping": {"n_estimators": 60, "learning_rate": 0.5, "early_stopping_rounds": 4},
    "no early stop": {"learning_rate": 0.02, "early_stopping_rounds": 4},
    "rounds without a split": {"learning_rate": 1.0, "min_split_gain": 5.0},
    "unused sampling": {"subsample": 0.5},
}
SAMPLED = {
    "rows": {"subsample": 0.5, "subsample_freq": 1},
    "columns": {"colsample_bytree": 0.5},
    "both": {"subsample": 0.5, "subsample_freq": 2, "colsample_bytree": 0.5},
    "early stopping": {"colsample_bytree": 0.5, "early_stopping_rounds": 3, "n_estimators": 50},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_goes_on_to_the_same_model(lesson, interrupt, path, settings):
    X, targets, y = lesson
    settings = {**SMALL, **settings}
    whole = LightGBMStudentClassifier(**settings).fit(X, targets, labels=y)
    student = LightGBMStudentClassifier(**settings, checkpoint=path, resume=True)
    for after in (3, 1):
        interrupt(student, after, X, targets, labels=y)
        assert not hasattr(student, "classes_")
        assert path.exists()
    student.fit(X, targets, labels=y)
    assert not path.exists()
    assert student.booster_.model_to_string() == whole.booster_.model_to_string()
    np.testing.assert_array_equal(student.predict_proba(X), whole.predict_proba(X))
    assert dumps(student) == dumps(whole)


@pytest.mark.parametrize("settings", SAMPLED.values(), ids=SAMPLED)
def test_draws_go_on(lesson, interrupt, path, settings):
    X, targets, _ = lesson
    settings = {**SMALL, "n_estimators": 35, **settings, "checkpoint": path, "resume": True}
    whole = LightGBMStudentClassifier(**settings).fit(X, targets)
    student = LightGBMStudentClassifier(**settings)
    interrupt(student, 2, X, targets)
    interrupt(student, 1, X, targets)
    student.fit(X, targets)
    assert dumps(student) == dumps(whole)
    if "early_stopping_rounds" in settings:
        assert 20 < student.booster_.current_iteration() < 50
    other = LightGBMStudentClassifier(**settings).set_params(random_state=1).fit(X, targets)
    assert other.booster_.model_to_string() != whole.booster_.model_to_string()


def test_two_classes_and_categories(interrupt, path, rng):
    X = pd.DataFrame(
        {"number": rng.normal(size=200), "kind": pd.Categorical(rng.choice(list("abcde"), 200))}
    )
    p = np.where(X["kind"].isin(["a", "d"]), 0.8, 0.3) + 0.1 * np.tanh(X["number"])
    targets = np.stack([1 - p, p], axis=1)
    whole = LightGBMStudentClassifier(**SMALL).fit(X, targets)
    student = LightGBMStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 4, X, targets)
    assert dumps(student.fit(X, targets)) == dumps(whole)


@pytest.mark.parametrize("after", [2, 12, 14])
@pytest.mark.parametrize("settings", [{}, {"early_stopping_rounds": 20}], ids=["plain", "held out"])
def test_regressor_of_two_outputs(diabetes, interrupt, path, after, settings):
    X, y = diabetes
    y = np.stack([y, -y + X[:, 0]], axis=1)
    settings = {**SMALL, **settings}
    whole = LightGBMStudentRegressor(**settings).fit(X, y)
    student = LightGBMStudentRegressor(**settings, checkpoint=path, resume=True)
    interrupt(student, after, X, y)
    assert len(torch.load(path, weights_only=True)["stages"]) == 1 + (after > 12)
    assert dumps(student.fit(X, y)) == dumps(whole)
    assert not path.exists()


def test_nothing_to_split(interrupt, path):
    X, targets = np.zeros((20, 2)), np.tile([[0.25, 0.75]], (20, 1))
    student = LightGBMStudentClassifier(**SMALL, checkpoint=path).fit(X, targets)
    np.testing.assert_allclose(student.predict_proba(X), targets)


CHANGES = {
    "parameter": lambda s, X, Q: (s.set_params(learning_rate=0.2), X, Q),
    "rounds": lambda s, X, Q: (s.set_params(n_estimators=13), X, Q),
    "temperature": lambda s, X, Q: (s.set_params(temperature=2.0), X, Q),
    "seed": lambda s, X, Q: (s.set_params(random_state=1), X, Q),
    "rows": lambda s, X, Q: (s, X + 1, Q),
    "targets": lambda s, X, Q: (s, X, np.roll(Q, 60, axis=0)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_of_another_training_is_refused(lesson, interrupt, path, change):
    student = LightGBMStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 2, *lesson[:2])
    other, X, targets = change(student, *lesson[:2])
    with pytest.raises(ValueError, match="other parameters or other data"):
        other.fit(X, targets)
    assert path.exists()


DAMAGE = {
    "cut model": lambda state: state.update(model=state["model"][:-9]),
    "too few rounds": lambda state: state.update(rounds=1),
    "not ASCII": lambda state: state["model"][:4].fill_(200),
    "children": lambda state: replace(state["model"], b"left_child=", b"left_child=7"),
}


def replace(kept, old, new):
    """Overwrite what is there, the length of the whole unchanged."""
    data = kept.numpy()
    at = data.tobytes().index(old)
    data[at : at + len(new)] = np.frombuffer(new, dtype=np.uint8)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_forged_state_never_reaches_lightgbm(lesson, interrupt, path, damage):
    student = LightGBMStudentClassifier(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 4, *lesson[:2])
    content = torch.load(path, weights_only=True)
    damage(content["stages"][0])
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"damaged or not a checkpoint.*resume=False"):
        student.fit(*lesson[:2])
