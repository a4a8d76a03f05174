"""Boosting of scikit-learn that is interrupted goes on after the last whole output."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from soft_students import (
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
)
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.students.files import dumps

pytestmark = pytest.mark.usefixtures("every_round")

SMALL = {"max_iter": 6, "min_samples_leaf": 3, "random_state": 0}


def classifier(path, **parameters):
    return HistGradientBoostingStudentClassifier(
        **{**SMALL, **parameters}, checkpoint=path, resume=True
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"max_features": 0.5}, {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 2}],
    ids=["plain", "draws", "early stopping"],
)
@pytest.mark.parametrize("after", [1, 2])
def test_goes_on_to_the_same_model(lesson, interrupt, monkeypatch, path, settings, after):
    X, targets, y = lesson
    settings = {**SMALL, "hard_weight": 0.3, **settings}
    whole = HistGradientBoostingStudentClassifier(**settings).fit(X, targets, labels=y)
    student = classifier(path, **settings)
    interrupt(student, after, X, targets, labels=y)
    assert not hasattr(student, "classes_")
    fits, fit = [], HistGradientBoostingRegressor.fit

    def counted(self, *args, **kwargs):
        fits.append(self)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", counted)
    student.fit(X, targets, labels=y)
    assert len(fits) == 3 - after
    assert dumps(student) == dumps(whole)
    assert not path.exists()


def test_regressor_of_two_outputs(diabetes, interrupt, path):
    X, y = diabetes
    y = np.stack([y, -y + X[:, 0]], axis=1)
    whole = HistGradientBoostingStudentRegressor(**SMALL).fit(X, y)
    student = HistGradientBoostingStudentRegressor(**SMALL, checkpoint=path, resume=True)
    interrupt(student, 1, X, y)
    assert dumps(student.fit(X, y)) == dumps(whole)


def test_one_output_has_no_middle(wine, monkeypatch, path):
    monkeypatch.setattr(Checkpoint, "write", None)
    classifier(path).fit(wine[0], wine[1] > 0)


CHANGES = {
    "parameter": lambda s, X, Q: (s.set_params(learning_rate=0.2), X, Q),
    "seed": lambda s, X, Q: (s.set_params(random_state=1), X, Q),
    "rows": lambda s, X, Q: (s, X + 1, Q),
    "targets": lambda s, X, Q: (s, X, np.roll(Q, 60, axis=0)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_of_another_training_is_refused(lesson, interrupt, path, change):
    student = classifier(path)
    interrupt(student, 1, *lesson[:2])
    other, X, targets = change(student, *lesson[:2])
    with pytest.raises(ValueError, match="other parameters or other data"):
        other.fit(X, targets)
    assert path.exists()


DAMAGE = {
    "no leaves": lambda state: state.pop("is_leaf"),
    "text": lambda state: state.update(value="1.0"),
    "child beyond the nodes": lambda state: state["left"].fill_(2**31),
    "negative child": lambda state: state["right"].fill_(-1),
    "feature beyond the columns": lambda state: state["feature_idx"].fill_(13),
    "sizes": lambda state: state["tree_sizes"].add_(1),
    "more outputs": lambda state: state.update(baseline=torch.zeros(4, dtype=torch.float64)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_forged_state_is_refused(lesson, interrupt, path, damage):
    student = classifier(path)
    interrupt(student, 2, *lesson[:2])
    content = torch.load(path, weights_only=True)
    damage(content["stages"][0])
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"damaged or not a checkpoint.*resume=False"):
        student.fit(*lesson[:2])
