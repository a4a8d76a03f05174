"""Rows beside the labelled ones: unlabelled rows, and what transfer sets make."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    SoftDecisionTreeClassifier,
    SoftDecisionTreeRegressor,
)
from soft_students.students.files import dumps, loads
from soft_students.students.soft_tree import training_rows
from soft_students.transfer import (
    TRANSFERS,
    GaussianNoise,
    ImageDistortion,
    Mixup,
    Munge,
    Transfer,
)

TREE = {"depth": 2, "epochs": 2, "random_state": 0}


def soft_tree(**parameters):
    return SoftDecisionTreeClassifier(**{**TREE, **parameters})


def soft_regressor(**parameters):
    return SoftDecisionTreeRegressor(**{**TREE, **parameters})


def hard_tree(**parameters):
    return DecisionTreeStudentClassifier(random_state=0, **parameters)


def hard_regressor(**parameters):
    return DecisionTreeStudentRegressor(random_state=0, **parameters)


CLASSIFIERS = pytest.mark.parametrize("classifier", [soft_tree, hard_tree])
REGRESSORS = pytest.mark.parametrize("regressor", [soft_regressor, hard_regressor])


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def teacher(wine):
    return RandomForestClassifier(50, random_state=0).fit(*wine)


# -- unlabelled rows --------------------------------------------------------------------------


def test_a_soft_tree_learns_from_unlabelled_rows(wine, teacher):
    X, _ = wine
    few = np.r_[0:4, 60:64, 140:144]
    settings = {"epochs": 150, "batch_size": 16, "depth": 3}
    student = soft_tree(**settings).fit(X[few], teacher, X_unlabeled=X)
    alone = soft_tree(**settings).fit(X[few], teacher)
    told = teacher.predict(X)
    assert np.mean(student.predict(X) == told) > np.mean(alone.predict(X) == told)


@CLASSIFIERS
def test_unlabelled_rows_are_rows_like_others_that_weigh_one(classifier, wine, teacher):
    X, _ = wine
    order = np.arange(len(X))
    apart = classifier().fit(X[:100], teacher, X_unlabeled=X[100:]).predict_proba(X)
    together = classifier().fit(X, teacher).predict_proba(X)
    np.testing.assert_allclose(apart, together, atol=1e-12)
    weighted = classifier().fit(X, teacher, sample_weight=np.where(order < 100, 3.0, 1.0))
    apart = classifier().fit(X[:100], teacher, sample_weight=np.full(100, 3.0), X_unlabeled=X[100:])
    np.testing.assert_allclose(apart.predict_proba(X), weighted.predict_proba(X), atol=1e-12)


@REGRESSORS
def test_unlabelled_rows_of_regressors_bear_the_teachers_values_alone(regressor):
    X, y = load_diabetes(return_X_y=True)
    teacher = Ridge(alpha=0.1).fit(X, y)
    asked = []

    def ask(rows):
        asked.append(len(rows))
        return teacher.predict(rows)

    student = regressor(hard_weight=0.5).fit(X[:300], ask, labels=y[:300], X_unlabeled=X[300:])
    assert asked == [300, 142]
    assert np.isfinite(student.predict(X)).all()


@CLASSIFIERS
def test_unlabelled_rows_without_their_teacher_are_refused(classifier, wine, teacher):
    X, y = wine
    student = classifier().fit(X, teacher)
    before = student.predict_proba(X)
    with pytest.raises(ValueError, match="X_unlabeled needs a teacher"):
        student.fit(X, y, X_unlabeled=X)
    with pytest.raises(ValueError, match="belongs to one X"):
        student.fit(X, teacher.predict_proba(X), X_unlabeled=X)
    with pytest.raises(ValueError, match="features"):
        student.fit(X, teacher, X_unlabeled=X[:, :3])
    np.testing.assert_array_equal(student.predict_proba(X), before)


@REGRESSORS
def test_unlabelled_rows_without_a_teacher_of_values_are_refused(regressor):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="X_unlabeled needs a teacher"):
        regressor().fit(X, y, X_unlabeled=X)
    with pytest.raises(ValueError, match="features"):
        regressor().fit(X, Ridge().fit(X, y), X_unlabeled=X[:, :3])


@CLASSIFIERS
def test_unlabelled_columns_must_have_the_same_names(classifier, wine):
    X, y = wine
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    teacher = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y)
    with pytest.raises(ValueError, match="feature names"):
        classifier().fit(frame, teacher, X_unlabeled=frame.rename(columns={"c0": "other"}))


@pytest.mark.filterwarnings("error:X does not have valid feature names")
@CLASSIFIERS
def test_a_teacher_of_named_columns_is_shown_names(classifier, wine):
    X, y = wine
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    teacher = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y)
    student = classifier(transfer=Munge(), transfer_copies=1)
    student.fit(frame, teacher, X_unlabeled=frame[:50])
    assert student.score(frame, y) > 0.3


def test_unlabelled_rows_take_no_part_in_the_validation_split(wine, teacher):
    X, _ = wine
    student = soft_tree(early_stopping=True, validation_fraction=0.5, epochs=3)
    student.fit(X[:40], teacher, X_unlabeled=X)
    assert len(student.validation_curve_) == 3


# -- what transfer sets make ------------------------------------------------------------------


class Twin(Transfer):
    """The rows as they are, far up."""

    keeps_labels = True

    def sample(self, X, random_state=None, *, categorical=None):
        return X + 1000


class Stranger(Twin):
    keeps_labels = False


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "validation_fraction": 0.4}])
@pytest.mark.parametrize("weights", [None, "some zero"])
def test_copies_bear_the_label_of_their_own_row(parameters, weights, monkeypatch):
    """Whichever rows remain after the split and the weights of zero."""
    X = np.arange(60.0)[:, None]
    y = np.arange(60) % 2
    student = soft_tree(transfer=Twin(), transfer_copies=1, hard_weight=1.0, **parameters)
    banks = []
    gather = training_rows.gather_rows

    def spied(*args):
        banks.append(gather(*args))
        return banks[-1]

    monkeypatch.setattr(training_rows, "gather_rows", spied)
    student.set_params(standardize=False).fit(
        X,
        lambda rows: np.tile([0.5, 0.5], (len(rows), 1)),
        labels=y,
        sample_weight=None if weights is None else (np.arange(60) % 5 > 0).astype(float),
        X_unlabeled=X[:7] + 0.25,
    )
    rows = banks[0].X.numpy()[:, 0]
    targets = banks[0].targets.numpy()
    labelled = rows % 1 == 0
    assert labelled.sum() == len(rows) - 14
    np.testing.assert_array_equal(targets[labelled].argmax(axis=1), (rows[labelled] % 1000) % 2)
    np.testing.assert_allclose(targets[~labelled], 0.5)


@pytest.mark.parametrize("student", [soft_regressor, hard_regressor])
def test_copies_of_values_bear_their_own_value(student, monkeypatch):
    X = np.arange(60.0)[:, None]
    seen = []
    if student is hard_regressor:
        learner = student(transfer=Twin(), transfer_copies=1, hard_weight=1.0)
        learn = type(learner)._learn

        def spied(self, X, targets, weights):
            seen.append((X, targets))
            learn(self, X, targets, weights)

        monkeypatch.setattr(type(learner), "_learn", spied)
        learner.fit(X, lambda rows: np.zeros(len(rows)), labels=X[:, 0], X_unlabeled=X[:5] + 0.25)
        rows, targets = seen[0]
        labelled = rows[:, 0] % 1 == 0
        np.testing.assert_array_equal(targets[labelled, 0], rows[labelled, 0] % 1000)
        np.testing.assert_array_equal(targets[~labelled], 0)
    else:
        learner = student(transfer=Twin(), hard_weight=1.0, early_stopping=True)
        learner.fit(X, lambda rows: np.zeros(len(rows)), labels=X[:, 0])
        assert np.isfinite(learner.predict(X)).all()


@CLASSIFIERS
def test_rows_without_a_label_need_a_teacher(classifier, wine, teacher):
    X, y = wine
    with pytest.raises(ValueError, match="Stranger makes rows without labels"):
        classifier(transfer=Stranger()).fit(X, y)
    classifier(transfer=Twin()).fit(X, y)
    with pytest.raises(ValueError, match="belongs to one X"):
        classifier(transfer=Stranger()).fit(X, teacher.predict_proba(X))


@CLASSIFIERS
def test_the_hard_weight_leaves_rows_without_a_label_alone(classifier):
    X, y = np.arange(40.0)[:, None], np.arange(40) % 2
    student = classifier(transfer=Stranger(), transfer_copies=1, hard_weight=1.0)
    if classifier is soft_tree:
        student.set_params(epochs=60, depth=1, batch_size=8)
    student.fit(X, lambda rows: np.where(rows < 500, [0.5, 0.5], [0.9, 0.1]), labels=y)
    np.testing.assert_allclose(student.predict_proba(X + 1000)[:, 0], 0.9, atol=0.1)


def test_which_transfer_sets_keep_labels():
    kept = {name for name, transfer in TRANSFERS.items() if transfer.keeps_labels}
    assert kept == {"image", "noise"}
    assert ImageDistortion.keeps_labels
    assert GaussianNoise.keeps_labels
    assert not Mixup.keeps_labels


@CLASSIFIERS
@pytest.mark.parametrize("name", sorted(TRANSFERS))
def test_every_transfer_set_serves_and_is_kept_in_bundles(classifier, name):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 9))
    teacher = LogisticRegression().fit(X, X[:, 0] > 0)
    student = classifier(transfer=TRANSFERS[name](), transfer_copies=2).fit(X, teacher)
    same = classifier(transfer=TRANSFERS[name](), transfer_copies=2).fit(X, teacher)
    np.testing.assert_array_equal(student.predict_proba(X), same.predict_proba(X))
    again = loads(dumps(student))
    assert type(again.transfer) is TRANSFERS[name]
    assert again.transfer.get_params() == student.transfer.get_params()
    np.testing.assert_array_equal(again.predict_proba(X), student.predict_proba(X))


def test_bundles_keep_lists_and_masks_of_columns():
    X = np.random.RandomState(0).normal(size=(30, 3))
    teacher = LogisticRegression().fit(X, X[:, 0] > 0)
    transfer = Munge(categorical=np.array([False, False, True]), discrete=[0], candidates=None)
    again = loads(dumps(hard_tree(transfer=transfer).fit(X, teacher)))
    assert again.transfer.categorical.tolist() == [False, False, True]
    assert again.transfer.discrete == [0]
    assert again.transfer.candidates is None
