"""One call about several models."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.svm import LinearSVC

from soft_students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    LogisticStudentClassifier,
    as_teacher,
)
from soft_students.evaluation import (
    METRICS,
    Timing,
    bootstrap_interval,
    disagreements,
    evaluate,
    evaluate_student,
    mcnemar,
)

OF_CLASSES = [name for name, metric in METRICS.items() if metric.task != "regression"]
OF_VALUES = [name for name, metric in METRICS.items() if metric.task != "classification"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    timing = Timing(median=12.5, low=12.0, high=14.0, calls=5, threads=1)
    for name in ("latency_us", "throughput"):
        metric = METRICS[name]
        monkeypatch.setitem(METRICS, name, replace(metric, measure=lambda model, X: timing))


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X[::2], y[::2], X[1::2], y[1::2]


@pytest.fixture(scope="module")
def teacher(iris):
    return LogisticRegression(max_iter=1000).fit(iris[0], iris[1])


@pytest.fixture(scope="module")
def students(iris, teacher):
    return {
        "tree": DecisionTreeStudentClassifier(max_depth=2, random_state=0).fit(iris[0], teacher),
        "linear": LogisticStudentClassifier().fit(iris[0], teacher),
    }


def test_each_model_has_a_row_for_each_metric(iris, teacher, students):
    result = evaluate(students, *iris[2:], teacher)
    assert [(row["model"], row["metric"]) for row in result.rows] == [
        (model, name) for model in ("teacher", "tree", "linear") for name in OF_CLASSES
    ]
    for row in result.rows:
        metric = METRICS[row["metric"]]
        assert (row["unit"], row["direction"]) == (metric.unit, metric.direction)
        if metric.rows is not None:
            assert row["interval"] == "bootstrap"
            assert row["low"] <= row["high"]
        if row["metric"] in ("latency_us", "throughput"):
            assert (row["value"], row["low"], row["high"]) == (12.5, 12, 14)
            assert row["interval"] == "quartiles"
    assert json.loads(json.dumps(result.rows)) == result.rows


def test_it_says_what_evaluate_student_says(iris, teacher, students):
    wide = evaluate(students, *iris[2:], teacher, bootstrap=0).wide()
    for name, student in students.items():
        old = evaluate_student(student, *iris[2:], teacher)
        for metric in ("accuracy", "agreement", "kl_to_teacher", "bytes"):
            assert wide[name][metric] == pytest.approx(old[metric])
    assert wide["teacher"]["agreement"] == 1
    assert wide["teacher"]["kl_to_teacher"] == pytest.approx(0, abs=1e-12)


def test_intervals_are_those_of_the_bootstrap(iris, teacher, students):
    X, y = iris[2:]
    result = evaluate(
        students, X, y, teacher, metrics=["accuracy"], bootstrap=300, confidence=0.9, random_state=7
    )
    for row in result.rows[1:]:
        expected = bootstrap_interval(
            accuracy_score, y, students[row["model"]].predict(X),
            n_resamples=300, confidence=0.9, random_state=7,
        )  # fmt: skip
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    again = evaluate(students, X, y, teacher, metrics=["accuracy"], random_state=7)
    assert (
        again.rows == evaluate(students, X, y, teacher, metrics=["accuracy"], random_state=7).rows
    )


def test_intervals_are_left_out_on_wish_and_of_one_row(iris, teacher, students):
    X, y = iris[2:]
    for result in (
        evaluate(students, X, y, metrics=["accuracy", "ece"], bootstrap=0),
        evaluate(students, X[:1], y[:1], metrics=["accuracy", "ece"]),
    ):
        assert {row["low"] for row in result.rows} == {row["interval"] for row in result.rows}
        assert all(row["low"] is None and row["value"] is not None for row in result.rows)


def test_without_a_teacher_or_labels_what_needs_them_is_left_out(iris, teacher, students):
    X, y = iris[2:]
    names = {row["metric"] for row in evaluate(students, X, y, bootstrap=0).rows}
    assert names == {name for name in OF_CLASSES if "teacher" not in METRICS[name].needs}
    result = evaluate(students, X, None, teacher, bootstrap=0)
    names = {row["metric"] for row in result.rows}
    assert names == {name for name in OF_CLASSES if "labels" not in METRICS[name].needs}


def test_one_student_needs_no_name(iris, students):
    result = evaluate(students["tree"], *iris[2:], metrics=["accuracy"], bootstrap=0)
    assert result.students() == ["student"]


def test_what_one_model_cannot_tell_is_unknown(iris, teacher, students):
    both = {"svc": LinearSVC().fit(iris[0], iris[1]), **students}
    wide = evaluate(both, *iris[2:], teacher, bootstrap=20).wide()
    assert wide["svc"]["accuracy"] > 0.8
    for name in ("log_loss", "ece", "kl_to_teacher", "top_2_agreement", "bytes", "flops"):
        assert wide["svc"][name] is None
    assert wide["tree"]["log_loss"] > 0


def test_a_teacher_that_is_an_array_costs_nothing(iris, teacher, students):
    said = as_teacher(teacher.predict_proba(iris[2]), classes=teacher.classes_)
    wide = evaluate(students, *iris[2:], said, bootstrap=0).wide()
    assert wide["teacher"]["latency_us"] is None
    assert wide["teacher"]["accuracy"] == teacher.score(*iris[2:])
    assert wide["tree"]["latency_us"] == 12.5


def test_a_class_that_no_student_has_seen_counts_as_missed(iris, teacher):
    X, y = iris[2:]
    blind = DecisionTreeStudentClassifier(max_depth=2).fit(iris[0][:50], iris[1][:50])
    assert len(blind.classes_) == 2
    result = evaluate({"blind": blind}, X, y, teacher, bootstrap=50)
    wide = result.wide()["blind"]
    assert wide["accuracy"] == blind.score(X, y)
    assert wide["log_loss"] > 36 / 3.1
    matrix = confusion_matrix(y, blind.predict(X))
    assert result.confusion("blind").tolist() == matrix.tolist()
    assert all(np.isfinite(row["low"]) for row in result.rows if row["interval"] == "bootstrap")


def test_rows_of_one_class_alone_are_measured(iris, teacher, students):
    X, y = iris[2][iris[3] == 1], iris[3][iris[3] == 1]
    result = evaluate(students, X, y, teacher, bootstrap=50)
    assert all(np.isfinite(row["high"]) for row in result.rows if row["interval"] == "bootstrap")
    assert result.wide()["linear"]["accuracy"] == students["linear"].score(X, y)


def test_students_are_compared_in_pairs(iris, teacher, students):
    X, y = iris[2:]
    third = {**students, "stump": DecisionTreeStudentClassifier(max_depth=1).fit(iris[0], iris[1])}
    found = evaluate(third, X, y, teacher, metrics=["accuracy"], bootstrap=0).mcnemar()
    assert list(found) == [("tree", "linear"), ("tree", "stump"), ("linear", "stump")]
    for (one, two), result in found.items():
        assert result == mcnemar(third[one].predict(X), third[two].predict(X), y)


def test_disagreements_are_named_by_label(iris):
    names = np.array(["setosa", "versicolor", "virginica"])
    X, y = iris[2], names[iris[3]]
    teacher = LogisticRegression(max_iter=1000).fit(X, y)
    stump = DecisionTreeStudentClassifier(max_depth=1).fit(X, y)
    result = evaluate(stump, X, y, teacher, metrics=["accuracy"], bootstrap=0)
    found = result.disagreements("student")
    expected = disagreements(stump.predict_proba(X), teacher.predict_proba(X), names)
    assert found.indices.tolist() == expected.indices.tolist()
    assert set(found.teacher) <= set(names)
    with pytest.raises(ValueError, match=r"Unknown model 'tree'\. Available: teacher, student"):
        result.disagreements("tree")


def test_columns_go_to_the_models_that_know_them(iris):
    data = load_iris(as_frame=True)
    one, two = data.data.columns[:2], data.data.columns[:0:-1]
    students = {
        str(i): DecisionTreeStudentClassifier(max_depth=2).fit(
            data.data[list(columns)], data.target
        )
        for i, columns in enumerate((one, two))
    }
    wide = evaluate(students, data.data, data.target, metrics=["accuracy"], bootstrap=0).wide()
    for i, columns in enumerate((one, two)):
        expected = students[str(i)].score(data.data[list(columns)], data.target)
        assert wide[str(i)]["accuracy"] == expected


def test_values_have_metrics_of_their_own():
    X, y = load_diabetes(return_X_y=True)
    teacher = LinearRegression().fit(X, y)
    student = DecisionTreeStudentRegressor(max_depth=3).fit(X, teacher)
    result = evaluate(student, X, y, teacher, bootstrap=100)
    assert [row["metric"] for row in result.rows[: len(OF_VALUES)]] == OF_VALUES
    wide = result.wide()
    assert wide["student"]["r2"] == pytest.approx(student.score(X, y))
    assert wide["student"]["r2_to_teacher"] == pytest.approx(student.score(X, teacher.predict(X)))
    assert wide["teacher"]["r2_to_teacher"] == 1
    said = evaluate(student, X, y, teacher.predict(X), metrics=["mae_to_teacher"], bootstrap=0)
    assert said.wide()["student"]["mae_to_teacher"] == wide["student"]["mae_to_teacher"]
    with pytest.raises(ValueError, match="needs classes"):
        result.confusion("student")


def test_the_frame_needs_pandas(iris, students, monkeypatch):
    result = evaluate(students, *iris[2:], metrics=["accuracy"], bootstrap=0)
    frame = result.frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.pivot(index="model", columns="metric", values="value").shape == (2, 1)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'soft-students\[tables\]'"):
        result.frame()


class Broken(LogisticStudentClassifier):
    """Returns NaN for one row."""

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        proba[3] = np.nan
        return proba


def test_bad_input_is_refused(iris, teacher, students):
    X, y = iris[2:]
    broken = Broken().fit(iris[0], iris[1])
    regressor = DecisionTreeStudentRegressor().fit(X, X[:, 0])
    for message, arguments, options in (
        (
            r"'b' returned NaN or infinity for 1 of 75 rows \(first: row 3\)",
            ({"b": broken}, X, y),
            {},
        ),
        ("X is empty", (students, X[:0], y[:0]), {}),
        ("No student to evaluate", ({}, X, y), {}),
        ("inconsistent numbers of samples", (students, X, y[:-1]), {}),
        ("Unknown metric 'speed'", (students, X, y), {"metrics": ["speed"]}),
        ("'agreement' needs a teacher", (students, X, y), {"metrics": ["agreement"]}),
        ("'r2' needs models of regression", (students, X, y), {"metrics": ["r2"]}),
        ("'ece' needs the true labels y", (students, X, None, teacher), {"metrics": ["ece"]}),
        ("all regressors. Got both", ({**students, "r": regressor}, X, y), {}),
        ("No label of y is among", (students, X, np.array(list("abc"))[y]), {}),
        ("No label of y is among", (students, X, y + 10), {}),
        ("called 'teacher'", ({"teacher": students["tree"]}, X, y), {}),
        ("must not be negative. Got -1", (students, X, y), {"bootstrap": -1}),
        ("shape", ({"r": regressor}, X, X), {}),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(*arguments, **options)


def test_metrics_redrawn_vary_as_their_intervals_do(iris, teacher):
    X, y, X_test, y_test = iris
    students = {
        depth: DecisionTreeStudentClassifier(max_depth=depth, random_state=0).fit(X, y)
        for depth in (1, 2)
    }
    found = evaluate(students, X_test, y_test, teacher)
    drawn = found.redrawn(["accuracy", "kl_to_teacher", "latency_us", "bytes"], n_draws=3000)
    assert list(drawn) == ["teacher", 1, 2]
    assert set(drawn[1]) == {"accuracy", "kl_to_teacher", "latency_us"}  # bytes are exact
    rows = {(row["model"], row["metric"]): row for row in found.rows}
    for model in students:
        for metric in ("accuracy", "kl_to_teacher"):
            row, values = rows[model, metric], drawn[model][metric]
            assert values.shape == (3000,)
            assert values.mean() == pytest.approx(row["value"], rel=0.05)
            ends = np.quantile(values, [0.025, 0.975])
            spread = row["high"] - row["low"]
            np.testing.assert_allclose(ends, [row["low"], row["high"]], atol=0.15 * spread)
        times = drawn[model]["latency_us"]  # quartiles 12 and 14 around 12.5
        assert np.median(times) == pytest.approx(12.5, abs=0.1)
        assert np.subtract(*np.quantile(times, [0.75, 0.25])) == pytest.approx(2, abs=0.15)
    again = found.redrawn(["accuracy"], n_draws=3000)
    np.testing.assert_array_equal(again[1]["accuracy"], drawn[1]["accuracy"])


def test_models_are_redrawn_by_the_same_rows(iris):
    X, y, X_test, y_test = iris
    student = DecisionTreeStudentClassifier(max_depth=1).fit(X, y)
    found = evaluate({"one": student, "same": student}, X_test, y_test, metrics=["accuracy"])
    drawn = found.redrawn(["accuracy"])
    np.testing.assert_array_equal(drawn["one"]["accuracy"], drawn["same"]["accuracy"])
    assert len(set(drawn["one"]["accuracy"])) > 5
    other = found.redrawn(["accuracy"], random_state=1)
    assert (other["one"]["accuracy"] != drawn["one"]["accuracy"]).any()
