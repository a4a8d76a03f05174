"""What every classical student does alike."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from soft_students.persistence import BundleError
from soft_students.students.files import dumps, loads
from soft_students.transfer import Transfer


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_probabilities_are_those_at_temperature_one(classifier, wine, temperature):
    """A teacher that says the same of all rows is answered exactly, whatever the temperature."""
    X, _ = wine
    constant = np.tile([0.7, 0.2, 0.1], (len(X), 1))
    student = classifier(temperature=temperature).fit(X, constant)
    np.testing.assert_allclose(student.predict_proba(X[:5]), constant[:5], atol=2e-4)


def test_labels_are_mixed_in_by_the_hard_weight(classifier, wine):
    X, y = wine
    wrong = np.eye(3)[(y + 1) % 3] * 0.98 + 0.02 / 3
    learnt = classifier(hard_weight=1.0).fit(X, wrong, labels=y)
    assert learnt.score(X, y) > 0.9
    assert classifier().fit(X, wrong).score(X, y) < 0.1


def test_a_class_that_only_the_teacher_knows_keeps_its_column(classifier, wine, wine_teacher):
    X, y = wine
    rows = X[y != 1]
    student = classifier().fit(rows, y[y != 1], teacher=wine_teacher)
    np.testing.assert_array_equal(student.classes_, [0, 1, 2])
    assert student.predict_proba(X).shape == (len(X), 3)


def test_labels_may_be_strings_and_features_one_or_constant(classifier, wine):
    X, y = wine
    names = np.array(["red", "white", "rosé"])[y]
    student = classifier().fit(X[:, :1], names)
    assert set(student.predict(X[:, :1])) <= set(names)
    everybody = {"n_neighbors": len(X)} if hasattr(student, "n_neighbors") else {}
    constant = classifier(**everybody).fit(np.ones((len(X), 2)), names)
    shares = [np.mean(names == name) for name in constant.classes_]
    np.testing.assert_allclose(constant.predict_proba([[1.0, 1.0]])[0], shares, atol=0.06)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample_weight": "negative"}, "[Nn]egative"),
        ({"sample_weight": "zero"}, "[Ww]eights? .*zero"),
        ({"X_unlabeled": "narrow"}, "features"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(classifier, wine, wine_teacher, arguments, message):
    X, _ = wine
    values = {
        "negative": -np.ones(len(X)),
        "zero": np.zeros(len(X)),
        "narrow": X[:, :3],
    }
    ((name, what),) = arguments.items()
    student = classifier().fit(X, wine_teacher)
    before = student.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        student.fit(X, wine_teacher, **{name: values[what]})
    np.testing.assert_array_equal(student.predict_proba(X), before)


def test_a_teacher_that_says_nan_is_refused(classifier, wine):
    with pytest.raises(ValueError, match=r"NaN|finite"):
        classifier().fit(wine[0], lambda rows: np.full((len(rows), 3), np.nan))


def test_unlabelled_rows_are_labelled_by_the_teacher(classifier, wine, wine_teacher):
    X, y = wine
    few = np.r_[0:4, 60:64, 140:144]
    student = classifier().fit(X[few], wine_teacher, X_unlabeled=X)
    alone = classifier().fit(X[few], wine_teacher)
    told = wine_teacher.predict(X)
    assert np.mean(student.predict(X) == told) > np.mean(alone.predict(X) == told)
    with pytest.raises(ValueError, match="X_unlabeled needs a teacher"):
        classifier().fit(X, y, X_unlabeled=X)
    with pytest.raises(ValueError, match="belongs to one X"):
        classifier().fit(X, wine_teacher.predict_proba(X), X_unlabeled=X)


class Shifted(Transfer):
    """Rows further up, so that they can be told from the others."""

    def sample(self, X, random_state=None, *, categorical=None):
        return X + 100


def test_transferred_rows_are_labelled_by_the_teacher(classifier):
    X = np.arange(40.0)[:, None] / 40
    asked = []

    def teacher(rows):
        asked.append(rows)
        return np.where(rows < 50, [0.9, 0.1], [0.1, 0.9])

    student = classifier(transfer=Shifted(), transfer_copies=2).fit(X, teacher)
    assert [rows.min() > 50 for rows in asked] == [False, True, True]
    assert student.predict([[0.5], [100.5]]).tolist() == [0, 1]


def test_bundles_hold_classifiers(classifier, wine, wine_teacher):
    X, _ = wine
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    student = classifier(temperature=2.0).fit(frame, wine_teacher.predict_proba(X))
    again = loads(dumps(student))
    np.testing.assert_array_equal(again.predict_proba(frame), student.predict_proba(frame))
    np.testing.assert_array_equal(again.feature_names_in_, student.feature_names_in_)
    assert dumps(again) == dumps(student)
    assert again.get_params() == student.get_params()


@pytest.mark.parametrize("outputs", [1, 2])
def test_bundles_hold_regressors(regressor, diabetes, outputs):
    X, y = diabetes
    y = y if outputs == 1 else np.stack([y, -y], axis=1)
    student = regressor().fit(X, y)
    again = loads(dumps(student))
    assert student.predict(X).shape == y.shape
    np.testing.assert_array_equal(again.predict(X), student.predict(X))
    assert dumps(again) == dumps(student)


def test_regressors_follow_a_teacher(regressor, diabetes):
    X, y = diabetes
    teacher = Ridge(alpha=0.1).fit(X, y)
    student = regressor().fit(X, teacher, X_unlabeled=X[:30] * 0.9)
    assert student.score(X, teacher.predict(X)) > 0.5
    mixed = regressor(hard_weight=1.0).fit(X, teacher, labels=y)
    np.testing.assert_allclose(mixed.predict(X), regressor().fit(X, y).predict(X), rtol=1e-6)
    with pytest.raises(ValueError, match="X_unlabeled needs a teacher"):
        regressor().fit(X, y, X_unlabeled=X)


def test_a_bundle_of_another_size_is_refused(classifier, wine):
    X, y = wine
    student = classifier().fit(X, y)
    state, arrays = student._bundle_state()
    for changed in ({"n_features": 5}, {"classes": np.array([0, 1])}):
        if set(changed) <= set(state):
            with pytest.raises((ValueError, BundleError)):
                type(student)()._restore_bundle({**state, **changed}, dict(arrays))
