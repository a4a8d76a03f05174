"""What every classical student says to data that it cannot learn from, or that look so."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge

from soft_students import as_teacher


@pytest.fixture
def frame(wine):
    return pd.DataFrame(wine[0][:, :4], columns=["a", "b", "c", "d"])


@pytest.fixture
def named_teacher(frame, wine):
    return LogisticRegression(max_iter=2000).fit(frame, wine[1])


def test_a_class_without_rows_is_kept_where_the_teacher_has_it(classifier, wine, wine_teacher):
    X, y = wine
    names = np.array(["red", "rosé", "white"])
    teacher = as_teacher(wine_teacher, classes=names)
    rows = X[y != 1]
    student = classifier(hard_weight=0.5).fit(rows, teacher, labels=names[y[y != 1]])
    np.testing.assert_array_equal(student.classes_, names)
    probabilities = student.predict_proba(X)
    assert probabilities.shape == (len(X), 3)
    assert probabilities[y != 1, 1].mean() < 0.2
    assert set(student.predict(rows)) <= {"red", "white"}


def test_labels_that_the_teacher_does_not_know(classifier, wine, wine_teacher):
    X, y = wine
    with pytest.raises(ValueError, match=r"\[7\], which the teacher 'Pipeline' does not have"):
        classifier(hard_weight=0.5).fit(X, wine_teacher, labels=np.where(y == 1, 7, y))


def test_one_feature_and_constant_features(classifier, wine, wine_teacher):
    X, _ = wine
    targets = wine_teacher.predict_proba(X)
    one = classifier().fit(X[:, :1], targets).predict_proba(X[:, :1])
    constant = np.hstack([X[:, :1], np.full((len(X), 2), 5.0)])
    more = classifier().fit(constant, targets).predict_proba(constant)
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(more.sum(axis=1), 1, atol=1e-5)
    assert (one.argmax(axis=1) == more.argmax(axis=1)).mean() > 0.8
    everybody = {"n_neighbors": len(X)} if hasattr(classifier(), "n_neighbors") else {}
    nothing = classifier(**everybody).fit(np.full((len(X), 2), 5.0), targets)
    np.testing.assert_allclose(
        nothing.predict_proba([[5.0, 5.0]])[0], targets.mean(axis=0), atol=0.06
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda n: np.zeros(n), "[Ww]eights? .*zero"),
        (lambda n: np.where(np.arange(n) == 3, -1.0, 1.0), "[Nn]egative"),
        (lambda n: np.where(np.arange(n) == 3, np.nan, 1.0), "NaN"),
        (lambda n: np.ones(n - 1), r"sample_weight\.shape"),
        (lambda n: np.ones((n, 2)), "1D"),
    ],
)
def test_weights(classifier, regressor, wine, weights, message):
    X, y = wine
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y, sample_weight=weights(len(X)))
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, y.astype(float), sample_weight=weights(len(X)))


def test_unlabelled_rows_of_other_columns(classifier, frame, named_teacher, wine):
    student = classifier()
    student.fit(frame, named_teacher, X_unlabeled=frame[:20])
    before = student.predict_proba(frame)
    for wrong, message in [
        (frame[["b", "a", "c", "d"]], "same order"),
        (frame.drop(columns="d"), "missing:\n- d"),
        (frame.rename(columns={"a": "z"}), "unseen at fit time:\n- z"),
        (frame.to_numpy()[:, :2], "2 features"),
        (frame.assign(a=np.inf), "infinity"),
        (frame.iloc[:0], "minimum of 1 is required"),
    ]:
        with pytest.raises(ValueError, match=message):
            student.fit(frame, named_teacher, X_unlabeled=wrong)
    np.testing.assert_array_equal(student.predict_proba(frame), before)


def test_missing_values(classifier, regressor, frame, wine):
    holes = frame.mask(np.arange(frame.size).reshape(frame.shape) % 11 == 0)

    def teacher(rows):
        return np.tile([0.6, 0.3, 0.1], (len(rows), 1))

    for model, y in ((classifier(), teacher), (regressor(), wine[1].astype(float))):
        if model._takes_missing:
            assert np.isfinite(model.fit(holes, y).predict(holes)).all()
            continue
        with pytest.raises(ValueError, match="NaN"):
            model.fit(holes, y)
    if not classifier()._takes_missing:
        with pytest.raises(ValueError, match="NaN"):
            classifier().fit(frame, teacher, X_unlabeled=holes)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_teacher_that_says_what_is_no_number(classifier, regressor, wine, wrong):
    X, _ = wine

    def of_classes(rows):
        said = np.tile([0.6, 0.3, 0.1], (len(rows), 1))
        said[2] = wrong
        return said

    with pytest.raises(ValueError, match="NaN or infinity for 1 of 178 rows"):
        classifier().fit(X, of_classes)
    of_values = as_teacher(lambda rows: of_classes(rows)[:, 0], task="regression")
    with pytest.raises(ValueError, match=r"NaN or infinity for 1 of 178 rows"):
        regressor().fit(X, of_values)


def test_boolean_and_nullable_columns(classifier, wine):
    X, y = wine
    frame = pd.DataFrame(
        {
            "flag": X[:, 0] > 13,
            "whole": pd.array(np.round(X[:, 12]).astype(int), dtype="Int64"),
            "real": pd.array(X[:, 6], dtype="Float64"),
            "object": pd.Series(list(X[:, 9]), dtype=object),
        }
    )
    expected = classifier().fit(frame.to_numpy(dtype=float), y).predict_proba(frame.to_numpy(float))
    student = classifier().fit(frame, y)
    np.testing.assert_allclose(student.predict_proba(frame), expected, rtol=1e-6, atol=1e-8)
    frame.loc[::5, "whole"] = pd.NA
    if student._takes_missing:
        assert classifier().fit(frame, y).score(frame, y) > 0.9
        return
    with pytest.raises(ValueError, match="NaN"):
        classifier().fit(frame, y)


def test_sparse_rows_are_refused(classifier, regressor, wine):
    X, y = wine
    with pytest.raises(TypeError, match=r"Sparse data.*dense data is required"):
        classifier().fit(csr_array(X), y)
    with pytest.raises(TypeError, match=r"Sparse data.*dense data is required"):
        regressor().fit(csr_array(X), y.astype(float))


def test_huge_values(classifier, wine):
    X, y = wine
    huge = X * 1e30
    student = classifier().fit(huge, np.eye(3)[y] * 0.9 + 0.1 / 3)
    assert np.isfinite(student.predict_proba(huge)).all()
    assert student.score(huge, y) > 0.8
    with pytest.raises(ValueError, match=r"infinity|too large"):
        classifier().fit(np.where(X > 13, np.inf, X), y)


def test_duplicate_names_are_refused(classifier, frame, wine):
    frame.columns = ["a", "b", "a", "d"]
    with pytest.raises(ValueError, match="several columns named 'a'"):
        classifier().fit(frame, wine[1])


def test_columns_of_text_are_refused(classifier, frame, wine):
    with pytest.raises(ValueError, match=r"'b' of dtype .*category.*OneHotEncoder"):
        classifier().fit(frame.assign(b="red"), wine[1])


def test_a_regressor_is_not_taught_by_a_classifier(classifier, regressor, wine, wine_teacher):
    X, y = wine
    with pytest.raises(ValueError, match="needs a teacher that predicts values"):
        regressor().fit(X, wine_teacher)
    with pytest.raises(ValueError, match="needs a teacher that predicts classes"):
        classifier().fit(X, Ridge().fit(X, y))
