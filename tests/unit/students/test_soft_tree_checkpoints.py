"""A training that is interrupted goes on to the tree of one that was not, bit for bit."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from soft_students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.persistence.checkpoints import Checkpoint, kept_random, numpy_random
from soft_students.students.files import load, save
from soft_students.students.soft_tree import base, training_rows
from soft_students.transfer import ImageDistortion

SETTINGS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "averaged, sharpened": {"weight_averaging": 0.9, "sharpening": 4.0, "penalty": 0.0},
    "learned beta": {"beta_schedule": "learned"},
    "annealed, focused": {"beta_schedule": "annealed", "focusing": 1.0},
    "distorted": {"transfer": ImageDistortion((8, 8)), "transfer_copies": 2, "standardize": False},
    "chosen temperature": {"temperature": "auto"},
}


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr(base, "CHECKPOINT_INTERVAL", 0.0)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].astype(np.float32), y[:200]
    return X, y, LogisticRegression(max_iter=200).fit(X, y)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_goes_on_to_the_same_tree(digits, interrupt, tmp_path, settings):
    X, y, teacher = digits
    path = tmp_path / "training.checkpoint"
    settings = {"depth": 3, "epochs": 8, "random_state": 0, **settings}
    whole = SoftDecisionTreeClassifier(**settings).fit(X, teacher, labels=y)
    student = SoftDecisionTreeClassifier(**settings, checkpoint=path, resume=True)
    interrupt(student, 3, X, teacher, labels=y)
    assert not hasattr(student, "classes_")
    assert path.exists()
    student.fit(X, teacher, labels=y)
    assert not path.exists()
    for name in ("gate_weights_", "gate_biases_", "gate_betas_", "leaf_logits_"):
        np.testing.assert_array_equal(getattr(student, name), getattr(whole, name))
    assert student.loss_curve_ == whole.loss_curve_
    assert student.validation_curve_ == whole.validation_curve_
    assert student.best_iter_ == whole.best_iter_


def test_only_the_missing_epochs_are_trained(digits, interrupt, monkeypatch, tmp_path):
    X, _, teacher = digits
    student = SoftDecisionTreeClassifier(
        depth=3, epochs=6, random_state=0, checkpoint=tmp_path / "c", resume=True
    )
    interrupt(student, 4, X, teacher)
    passes, batches = [], training_rows.RowsInMemory.batches

    def counted(*args):
        passes.append(args)
        return batches(*args)

    monkeypatch.setattr(training_rows.RowsInMemory, "batches", counted)
    student.fit(X, teacher)
    assert len(passes) == 2
    assert student.n_iter_ == 6


def test_quick_epochs_write_no_checkpoint(digits, monkeypatch, tmp_path):
    X, _, teacher = digits
    monkeypatch.setattr(base, "CHECKPOINT_INTERVAL", 3600.0)
    monkeypatch.setattr(Checkpoint, "write", None)
    SoftDecisionTreeClassifier(depth=2, epochs=3, checkpoint=tmp_path / "c").fit(X, teacher)


def test_regressor_and_random_state_object(interrupt, tmp_path):
    X, y = load_iris(return_X_y=True)
    settings = {"depth": 2, "epochs": 6, "checkpoint": tmp_path / "c", "resume": True}
    whole = SoftDecisionTreeRegressor(random_state=np.random.RandomState(3), **settings).fit(X, y)
    student = SoftDecisionTreeRegressor(random_state=np.random.RandomState(3), **settings)
    interrupt(student, 2, X, y)
    student.set_params(random_state=np.random.RandomState(3)).fit(X, y)
    np.testing.assert_array_equal(student.leaf_values_, whole.leaf_values_)


CHANGES = {
    "parameter": lambda s, X, y: (s.set_params(learning_rate=0.02), X, y),
    "seed": lambda s, X, y: (s.set_params(random_state=1), X, y),
    "rows": lambda s, X, y: (s, X + 1, y),
    "labels": lambda s, X, y: (s, X, np.roll(y, 60)),
    "shape": lambda s, X, y: (s.set_params(depth=4), X, y),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_of_another_training_is_refused(interrupt, tmp_path, change):
    X, y = load_iris(return_X_y=True)
    path = tmp_path / "c"
    student = SoftDecisionTreeClassifier(
        depth=2, epochs=4, random_state=0, checkpoint=path, resume=True
    )
    interrupt(student, 2, X, y)
    before = path.read_bytes()
    other, X, y = change(student, X, y)
    with pytest.raises(ValueError, match="other parameters or other data"):
        other.fit(X, y)
    assert path.read_bytes() == before
    other.set_params(resume=False).fit(X, y)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint at all"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    X, y = load_iris(return_X_y=True)
    path = tmp_path / "c"
    path.write_bytes(content)
    student = SoftDecisionTreeClassifier(depth=2, epochs=2, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        student.fit(X, y)
    assert path.read_bytes() == content


def test_what_the_checkpoint_was_called_is_not_saved(tmp_path):
    X, y = load_iris(return_X_y=True)
    student = SoftDecisionTreeClassifier(depth=1, epochs=1, checkpoint=tmp_path / "secret")
    save(student.fit(X, y), tmp_path / "s.student")
    assert b"secret" not in (tmp_path / "s.student").read_bytes()
    assert load(tmp_path / "s.student").checkpoint is None


def test_random_numbers_can_be_sent_to_other_processes():
    kept = pickle.loads(pickle.dumps(kept_random(np.random.RandomState(3))))
    drawn = np.random.RandomState(0)
    drawn.set_state(numpy_random(kept))
    np.testing.assert_array_equal(drawn.rand(5), np.random.RandomState(3).rand(5))
