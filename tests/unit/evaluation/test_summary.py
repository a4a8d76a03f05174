"""The row of a result table."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from soft_students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor, as_teacher
from soft_students.evaluation import evaluate, evaluate_student, evaluate_teacher, summary
from tests.references import fidelity as reference

KEYS = ["accuracy", "agreement", "kl_to_teacher", "bytes", "latency_us"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(summary, "latency_us", lambda model, X: 12.5)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def teacher(iris):
    return LogisticRegression(C=0.05, max_iter=1000).fit(*iris)


@pytest.fixture(scope="module")
def student(iris, teacher):
    return SoftDecisionTreeClassifier(depth=2, epochs=5, random_state=0).fit(iris[0], teacher)


def test_the_keys_are_stable_and_the_values_those_of_the_definitions(iris, teacher, student):
    X, y = iris
    result = evaluate_student(student, X, y, teacher)
    student_labels, teacher_labels = student.predict(X).tolist(), teacher.predict(X).tolist()
    student_proba, teacher_proba = student.predict_proba(X), teacher.predict_proba(X)

    assert list(result) == KEYS
    assert result["accuracy"] == reference.agreement(student_labels, y.tolist())
    assert result["agreement"] == reference.agreement(student_labels, teacher_labels)
    assert result["kl_to_teacher"] == pytest.approx(
        reference.kl(student_proba.tolist(), teacher_proba.tolist()), rel=1e-6
    )
    assert result["bytes"] > 2 * 4 * 8
    assert result["latency_us"] == 12.5
    assert json.loads(json.dumps(result)) == result


def test_without_a_teacher_there_is_nothing_to_be_faithful_to(iris, student):
    result = evaluate_student(student, *iris)
    assert list(result) == KEYS
    assert result["agreement"] is None
    assert result["kl_to_teacher"] is None


def test_the_teachers_outputs_may_be_given_instead_of_the_teacher(iris, teacher, student):
    X, y = iris
    given = evaluate_student(student, X, y, teacher.predict_proba(X))
    assert given == pytest.approx(evaluate_student(student, X, y, teacher), rel=1e-6)


def test_classes_are_aligned_by_label_whatever_their_columns(iris, teacher, student):
    X, y = iris
    order = [2, 0, 1]
    shuffled = as_teacher(teacher.predict_proba(X)[:, order], classes=np.array(order))
    expected = evaluate_student(student, X, y, teacher)
    assert evaluate_student(student, X, y, shuffled) == pytest.approx(expected, rel=1e-6)


def test_a_student_that_never_saw_a_class_pays_for_it(iris, teacher):
    X, y = iris
    student = SoftDecisionTreeClassifier(depth=1, epochs=3, random_state=0).fit(X[:100], y[:100])
    result = evaluate_student(student, X, y, teacher)
    p, q = teacher.predict_proba(X), np.column_stack([student.predict_proba(X), np.zeros(150)])
    expected = reference.kl(np.maximum(q, np.finfo(float).eps).tolist(), p.tolist())
    assert result["kl_to_teacher"] == pytest.approx(expected, rel=1e-6)
    assert result["kl_to_teacher"] > 1


def test_columns_without_names_are_the_students(iris, teacher):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    student = SoftDecisionTreeClassifier(depth=1, epochs=2, random_state=0).fit(X, names[y])
    named = evaluate_student(
        student, X, names[y], as_teacher(teacher.predict_proba(X), classes=names)
    )
    assert evaluate_student(student, X, names[y], teacher.predict_proba(X)) == named


def test_student_and_teacher_of_different_labels_are_refused(iris, teacher):
    X, y = iris
    student = SoftDecisionTreeClassifier(depth=1, epochs=1).fit(X, np.array(list("abc"))[y])
    with pytest.raises(ValueError, match=r"no class in common.*as_teacher"):
        evaluate_student(student, X, np.array(list("abc"))[y], teacher)


def test_rows_that_do_not_belong_together_are_refused(iris, teacher, student):
    X, y = iris
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        evaluate_student(student, X, y[:-1], teacher)
    with pytest.raises(ValueError, match="149"):
        evaluate_student(student, X, y, teacher.predict_proba(X)[:-1])


def test_a_model_that_bundles_cannot_keep_has_no_size(iris, teacher):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), SoftDecisionTreeClassifier(depth=1, epochs=1))
    result = evaluate_student(pipeline.fit(X, y), X, y, teacher)
    assert result["bytes"] is None
    assert result["agreement"] > 0


def test_a_student_without_probabilities_has_no_divergence(iris, teacher):
    from sklearn.svm import LinearSVC

    X, y = iris
    result = evaluate_student(LinearSVC().fit(X, y), X, y, teacher)
    assert result["kl_to_teacher"] is None
    assert result["agreement"] > 0.5


def test_a_regressor_is_measured_in_its_own_terms():
    X, y = load_diabetes(return_X_y=True)
    teacher = LinearRegression().fit(X, y)
    student = SoftDecisionTreeRegressor(depth=2, epochs=5, random_state=0).fit(X, teacher)
    result = evaluate_student(student, X, y, teacher)
    predicted, taught = student.predict(X), teacher.predict(X)

    assert list(result) == ["r2", "r2_to_teacher", "mse_to_teacher", "bytes", "latency_us"]
    assert result["r2"] == pytest.approx(1 - ((y - predicted) ** 2).mean() / y.var())
    squared = ((taught - predicted) ** 2).mean()
    assert result["mse_to_teacher"] == pytest.approx(squared, rel=1e-5)
    assert result["r2_to_teacher"] == pytest.approx(1 - squared / taught.var(), rel=1e-5)
    assert evaluate_student(student, X, y)["r2_to_teacher"] is None


def test_a_teacher_has_the_same_row(iris, teacher):
    X, y = iris
    result = evaluate_teacher(teacher, X, y)
    assert list(result) == KEYS
    assert result["accuracy"] == reference.agreement(teacher.predict(X).tolist(), y.tolist())
    assert (result["agreement"], result["kl_to_teacher"], result["bytes"]) == (1.0, 0.0, None)


def test_a_networks_row_tells_the_size_of_its_parameters(iris):
    result = evaluate_teacher(nn.Linear(4, 3), iris[0].astype(np.float32), iris[1])
    assert result["bytes"] == 4 * 15


def test_a_teacher_of_values_has_a_row_of_its_own():
    X, y = load_diabetes(return_X_y=True)
    regression = LinearRegression().fit(X, y)
    result = evaluate_teacher(regression, X, y)
    assert list(result) == ["r2", "r2_to_teacher", "mse_to_teacher", "bytes", "latency_us"]
    assert result["r2"] == pytest.approx(regression.score(X, y))


def test_labels_of_which_a_student_knows_none_are_refused(iris, student):
    X, y = iris
    foreign = np.array(["rose", "tulip"])[y % 2]
    with pytest.raises(
        ValueError, match=r"No label of y .* the student\. Got 'rose', 'tulip', and"
    ):
        evaluate_student(student, X, foreign)
    with pytest.raises(ValueError, match="No label of y"):
        evaluate({"s": student}, X, y + 7)


def test_labels_that_a_student_does_not_know_are_told(iris, student):
    X, y = iris
    some = np.where(y == 2, 9, y)
    with pytest.warns(UserWarning, match=r"of 150 rows have labels that the student .*: 9\."):
        row = evaluate_student(student, X, some)
    assert row["accuracy"] == np.mean(student.predict(X) == some)
    with pytest.warns(UserWarning, match=r"the student 's' was not trained on .*: 9\."):
        evaluate({"s": student}, X, some)


def test_labels_that_a_teacher_does_not_know_are_told(iris, teacher):
    X, y = iris
    with pytest.warns(UserWarning, match=r"the teacher .* was not trained on .*: 9\."):
        evaluate_teacher(teacher, X, np.where(y == 2, 9, y))
