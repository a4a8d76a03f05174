"""The main job: who is trained on what, in which order, and compared on which rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression

from soft_students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor, as_teacher
from soft_students.comparison.distillation import compare, distill, held_out_rows
from soft_students.datasets import Dataset
from soft_students.evaluation import summary
from soft_students.teachers import train_teacher
from soft_students.transfer import Transfer


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(summary, "latency_us", lambda model, X: 12.5)


def table(task="classification", names=("a", "b", "c")):
    """Return rows whose columns count in different units, and whose label is told by the first."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(90, 3)) * [1, 10, 100]).astype(np.float32)
    y = np.where(X[:, 0] > 0, "high", "low") if task == "classification" else 2 * X[:, 0] + 1.0
    return Dataset(
        name="table",
        X_train=X[:60],
        y_train=y[:60],
        X_test=X[60:],
        y_test=y[60:],
        classes=np.unique(y) if task == "classification" else None,
        feature_names=None if names is None else list(names),
        image_shape=None,
        source="this test",
        task=task,
    )


def frame(data):
    return pd.DataFrame(data.X_train, columns=data.feature_names)


@pytest.fixture
def tree():
    return SoftDecisionTreeClassifier(depth=2, epochs=20, batch_size=16, random_state=0)


class Nudge(Transfer):
    """Moves every row a little."""

    keeps_labels = True

    def sample(self, X, random_state=None, *, categorical=None):
        return X + np.float32(0.01)


class Stranger(Nudge):
    keeps_labels = False


class Recorder(ClassifierMixin, BaseEstimator):
    """A student that notes what it is taught."""

    log: list = []  # noqa: RUF012

    def __init__(self, transfer=None):
        self.transfer = transfer

    def fit(self, X, y=None, labels=None):
        said = "labels" if labels is None else "teacher"
        self.log.append((said, self.transfer is not None, len(X)))
        self.classes_ = np.unique(y if labels is None else labels)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture
def log(monkeypatch):
    log = []
    monkeypatch.setattr(Recorder, "log", log)
    return log


@pytest.fixture
def teacher():
    data = table()
    return as_teacher(LogisticRegression().fit(frame(data), data.y_train))


def test_the_student_is_kept_before_the_baselines_are_trained(teacher, log):
    distilled = distill(
        Recorder(Nudge()), teacher, table(), on_student=lambda model: log.append("kept")
    )
    assert log == [("teacher", True, 60), "kept", ("labels", True, 60), ("labels", False, 60)]
    assert list(distilled.rows) == ["teacher", "student", "labels_transfer", "labels"]
    assert set(distilled.seconds) == {"student", "labels_transfer", "labels"}
    assert distilled.accuracy_by_prediction is None


def test_rows_whose_label_nobody_knows_make_no_baseline(teacher, log):
    distilled = distill(Recorder(Stranger()), teacher, table())
    assert log == [("teacher", True, 60), ("labels", False, 60)]
    assert list(distilled.rows) == ["teacher", "student", "labels"]


def test_without_baselines_only_the_student_is_trained(teacher, log):
    distilled = distill(Recorder(), teacher, table(), baselines=False)
    assert log == [("teacher", False, 60)]
    assert list(distilled.rows) == ["teacher", "student"]


def test_what_is_given_is_not_fitted(teacher, tree):
    student = distill(tree, teacher, table(), baselines=False).student
    assert student is not tree
    assert not hasattr(tree, "gate_weights_")


def test_all_are_measured_on_the_test_rows(teacher, tree):
    data = table()
    distilled = distill(tree, teacher, data)
    X_test = pd.DataFrame(data.X_test, columns=data.feature_names)
    for name, model in (("teacher", teacher), ("student", distilled.student)):
        expected = np.mean(model.predict(X_test) == data.y_test)
        assert distilled.rows[name]["accuracy"] == expected
    agreement = np.mean(teacher.predict(X_test) == distilled.student.predict(X_test))
    assert distilled.rows["student"]["agreement"] == agreement
    for prediction, accuracy in distilled.accuracy_by_prediction.items():
        reading = distilled.student.set_params(prediction=prediction)
        assert accuracy == np.mean(reading.predict(X_test) == data.y_test)


def test_measuring_each_prediction_leaves_the_chosen_one(teacher, tree):
    tree.set_params(prediction="greedy")
    student = distill(tree, teacher, table(), baselines=False).student
    assert student.prediction == "greedy"


@pytest.mark.parametrize("kind", ["estimator", "record"])
def test_columns_go_by_name(tree, kind):
    data = table()
    if kind == "estimator":
        teacher = as_teacher(LogisticRegression().fit(frame(data), data.y_train))
    else:
        about = {"feature_names": data.feature_names}
        teacher = train_teacher(
            data.X_train, data.y_train, arch="mlp", epochs=20, random_state=0, data=about
        )
    straight = distill(tree, teacher, data, baselines=False)
    turned = distill(tree, teacher, data.select(["c", "a", "b"]), baselines=False)
    assert straight.rows["teacher"]["accuracy"] > 0.75
    assert straight.rows == turned.rows
    assert turned.student.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(straight.student.gate_weights_, turned.student.gate_weights_)
    compared = compare({"student": straight.student}, teacher, data.select(["b", "c", "a"]))
    assert compared == straight.rows


def test_a_model_without_names_gets_the_array():
    data = table()
    teacher = as_teacher(LogisticRegression().fit(data.X_train, data.y_train))
    assert held_out_rows(teacher, data) is data.X_test
    nameless = table(names=None)
    named = as_teacher(LogisticRegression().fit(frame(data), data.y_train))
    assert held_out_rows(named, nameless) is nameless.X_test


def test_without_a_teacher_fidelity_is_unknown(tree):
    data = table(names=None)
    tree.fit(data.X_train, data.y_train)
    rows = compare({"a": tree, "b": tree}, None, data)
    assert list(rows) == ["a", "b"]
    assert rows["a"]["agreement"] is None


def test_values_are_learnt_from_a_regressor():
    data = table("regression")
    teacher = as_teacher(LinearRegression().fit(frame(data), data.y_train))
    tree = SoftDecisionTreeRegressor(depth=2, epochs=5, batch_size=16, random_state=0)
    rows = distill(tree, teacher, data).rows
    assert rows["teacher"]["r2"] == pytest.approx(1)
    assert set(rows["student"]) == set(rows["labels"]) == set(rows["teacher"])


def test_teacher_and_data_of_different_tasks_are_refused(teacher, tree):
    with pytest.raises(ValueError, match="predicts labels, but the target of 'table' has values"):
        distill(tree, teacher, table("regression"))
