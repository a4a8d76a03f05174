"""Perturbed rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from soft_students import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor
from soft_students.evaluation import add_noise, drop_features, robustness


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def teacher(iris):
    return LogisticRegression(max_iter=1000).fit(*iris)


@pytest.fixture(scope="module")
def student(iris, teacher):
    return DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(iris[0], teacher)


def test_noise_is_in_deviations_of_each_feature():
    X = np.random.default_rng(0).normal(size=(20_000, 3)) * [1, 10, 0]
    noise = add_noise(X, 0.5, random_state=0) - X
    assert noise.std(axis=0) == pytest.approx(0.5 * X.std(axis=0), rel=0.03)
    assert np.abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.03
    assert np.array_equal(add_noise(X, 0), X)
    assert add_noise(X.astype(np.float32), 1).dtype == np.float32
    assert add_noise(np.eye(3, dtype=int), 1).dtype == np.float64


def test_dropped_features_are_their_mean():
    X = np.random.default_rng(0).normal(size=(5000, 2)) + np.array([0, 9])
    made = drop_features(X, 0.3, random_state=0)
    changed = made != X
    assert changed.mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.02)
    assert np.array_equal(made[changed], np.broadcast_to(X.mean(axis=0), X.shape)[changed])
    assert np.array_equal(drop_features(X, 0), X)
    assert np.allclose(drop_features(X, 1), X.mean(axis=0))


def test_text_and_the_given_table_stay_as_they_are():
    X = pd.DataFrame({"a": [1, 2, 3], "b": pd.Categorical(["x", "y", "x"])}, index=[5, 6, 7])
    before = X.copy()
    for made in (add_noise(X, 1, random_state=0), drop_features(X, 1)):
        pd.testing.assert_frame_equal(X, before)
        pd.testing.assert_series_equal(made["b"], X["b"])
        assert made["a"].dtype == np.float64
    assert drop_features(X, 1)["a"].tolist() == [2, 2, 2]


@pytest.mark.parametrize("perturbation", ["noise", "dropout"])
def test_the_curve_starts_at_the_rows_as_they_are(iris, teacher, student, perturbation):
    X, y = iris
    curve = robustness(
        student, X, y, teacher, perturbation=perturbation, strengths=[0, 0.3, 1], random_state=0
    )
    assert curve.values["accuracy"].shape == (3, 3)
    assert curve.values["accuracy"][0].tolist() == [student.score(X, y)] * 3
    assert curve.values["agreement"][0, 0] == np.mean(student.predict(X) == teacher.predict(X))
    assert curve.mean("accuracy")[2] < curve.mean("accuracy")[0]
    assert curve.deviation("accuracy")[0] == 0


def test_student_and_teacher_see_the_same_rows(iris, teacher, student):
    X, y = iris
    curve = robustness(student, X, y, teacher, strengths=[0.5], n_repeats=1, random_state=3)
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max, size=1)[0]
    rows = add_noise(X, 0.5, random_state=int(seed))
    alike = np.mean(student.predict(rows) == teacher.predict(rows))
    assert curve.values["agreement"].tolist() == [[alike]]
    assert curve.values["accuracy"].tolist() == [[student.score(rows, y)]]
    again = robustness(student, X, y, teacher, strengths=[0.5], n_repeats=1, random_state=3)
    assert again.values["agreement"].tolist() == [[alike]]


def test_other_metrics_and_no_teacher(iris, student):
    X, y = iris
    assert list(robustness(student, X, y, strengths=[0]).values) == ["accuracy"]
    curve = robustness(student, X, y, strengths=[0], metrics=["ece", "log_loss"])
    assert list(curve.values) == ["ece", "log_loss"]


def test_values_have_their_own_curve():
    X, y = load_diabetes(return_X_y=True)
    teacher = LinearRegression().fit(X, y)
    student = DecisionTreeStudentRegressor(max_depth=3).fit(X, teacher)
    curve = robustness(student, X, y, teacher, strengths=[0, 2], random_state=0)
    assert curve.values["r2"][0, 0] == pytest.approx(student.score(X, y))
    assert curve.mean("r2_to_teacher")[1] < curve.mean("r2_to_teacher")[0]


def test_bad_input_is_refused(iris, teacher, student):
    X, y = iris
    for message, options in (
        ("'noise', 'dropout'. Got 'blur'", {"perturbation": "blur"}),
        ("at least one repeat", {"n_repeats": 0}),
        ("must not be negative. Got -1", {"strengths": [-1]}),
        (r"in \[0, 1\]. Got 2", {"strengths": [2], "perturbation": "dropout"}),
        ("is a cost", {"metrics": ["bytes"]}),
        ("lacks one of: teacher", {"metrics": ["agreement"]}),
        ("Got an array. Pass the model", {"teacher": teacher.predict_proba(X)}),
    ):
        with pytest.raises(ValueError, match=message):
            robustness(student, X, y, **options)
    for perturb in (add_noise, drop_features):
        with pytest.raises(ValueError, match="No rows"):
            perturb(X[:0], 0.5)
