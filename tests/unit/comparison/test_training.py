"""Students trained side by side: what is kept, what is made again, what a failure costs."""

import json
import os
import signal

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from soft_students import (
    DecisionTreeStudentClassifier,
    KNeighborsStudentClassifier,
    LogisticStudentClassifier,
    SVMStudentClassifier,
    as_teacher,
    load,
)
from soft_students.comparison import train_students
from soft_students.students.files import trained_on
from soft_students.transfer import GaussianNoise

X, Y = load_iris(return_X_y=True)
STUDENTS = {
    "tree": DecisionTreeStudentClassifier(max_depth=3, random_state=0),
    "linear": LogisticStudentClassifier(),
}


class Failing(DecisionTreeStudentClassifier):
    """A student that cannot be trained."""

    def fit(self, X, y=None, **settings):
        raise RuntimeError("no\nluck")


class Dying(DecisionTreeStudentClassifier):
    """A student whose process is killed, as by the operating system when memory is short."""

    def fit(self, X, y=None, **settings):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def teacher():
    return as_teacher(LogisticRegression(max_iter=500).fit(X, Y))


@pytest.fixture
def train(teacher, tmp_path):
    def train(students=STUDENTS, **settings):
        return train_students(students, **{"teacher": teacher, "X": X, "y": Y, **settings},
                              folder=tmp_path)  # fmt: skip

    return train


@pytest.mark.parametrize("jobs", [1, 2])
def test_students_are_those_that_fit_makes(train, teacher, tmp_path, jobs):
    seen = []
    found = train(jobs=jobs, origin={"data": "iris"}, on_trained=seen.append)
    assert list(found) == ["tree", "linear"]
    assert sorted(training.name for training in seen) == ["linear", "tree"]
    for name, training in found.items():
        assert (training.error, training.resumed) == (None, False)
        assert training.seconds > 0
        kept = load(tmp_path / training.file)
        alone = STUDENTS[name].fit(X, teacher, labels=Y)
        np.testing.assert_array_equal(kept.predict_proba(X), alone.predict_proba(X))
        assert trained_on(tmp_path / training.file) == {"data": "iris"}
        assert json.loads((tmp_path / f"{name}.json").read_text())["sha256"] == training.sha256
    assert found["tree"].parameters["max_depth"] == 3


def resumed(found):
    return {name: training.resumed for name, training in found.items()}


def test_what_is_there_is_kept(train, tmp_path):
    train()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert resumed(train()) == {"tree": True, "linear": True}
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("missing", ["tree.json", "tree.student"])
def test_what_is_missing_is_made_again(train, tmp_path, missing):
    train()
    (tmp_path / missing).unlink()
    assert resumed(train()) == {"tree": False, "linear": True}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tree.student", b"damaged"),
        ("tree.json", b"{"),
        ("tree.json", b"[]"),
        ("tree.json", b'{"name": "tree", "unknown": 1}'),
    ],
)
def test_what_is_damaged_is_made_again(train, tmp_path, name, content):
    train()
    (tmp_path / name).write_bytes(content)
    assert resumed(train()) == {"tree": False, "linear": True}
    load(tmp_path / "tree.student")


def test_a_setting_that_has_changed_trains_again(train):
    train()
    deeper = STUDENTS | {"tree": DecisionTreeStudentClassifier(max_depth=4, random_state=0)}
    assert resumed(train(deeper)) == {"tree": False, "linear": True}


def test_a_setting_of_a_nested_estimator_that_has_changed_trains_again(train):
    def students(scale):
        return {"tree": DecisionTreeStudentClassifier(transfer=GaussianNoise(scale=scale))}

    train(students(0.1))
    assert resumed(train(students(0.1))) == {"tree": True}
    assert resumed(train(students(0.2))) == {"tree": False}


def test_another_teacher_or_other_rows_train_again(train):
    train()
    other = as_teacher(LogisticRegression(C=0.01, max_iter=500).fit(X, Y))
    assert resumed(train(teacher=other)) == {"tree": False, "linear": False}
    assert resumed(train(teacher=other, X=X[:-1], y=Y[:-1])) == {"tree": False, "linear": False}
    again = train(teacher=other, X=X[:-1], y=Y[:-1], teacher_digest="told")
    assert resumed(again) == {"tree": False, "linear": False}


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_that_fails_takes_nobody_with_it(train, tmp_path, jobs):
    found = train({"bad": Failing(), **STUDENTS}, jobs=jobs)
    assert found["bad"].error == "RuntimeError: no luck"
    assert found["bad"].file is None
    assert found["tree"].error is None
    assert not (tmp_path / "bad.json").exists()
    assert resumed(train({"bad": Failing(), **STUDENTS})) == {
        "bad": False, "tree": True, "linear": True,
    }  # fmt: skip


def test_one_whose_process_dies_takes_nobody_with_it(train):
    found = train({"bad": Dying(), **STUDENTS, "knn": KNeighborsStudentClassifier()}, jobs=2)
    assert list(found) == ["bad", "tree", "linear", "knn"]
    assert "its process died" in found["bad"].error
    assert all(found[name].error is None for name in ("tree", "linear", "knn"))


def test_warnings_are_kept(train):
    (training,) = train({"svm": SVMStudentClassifier(max_iter=1)}).values()
    assert training.error is None
    assert any("max_iter=1" in warning for warning in training.warnings)


def test_jobs_must_be_positive(train):
    with pytest.raises(ValueError, match=r"at least 1. Got 0"):
        train(jobs=0)
