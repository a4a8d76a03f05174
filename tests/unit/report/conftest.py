"""Comparisons that the tests of the report share; nobody writes to them."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from soft_students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    LogisticStudentClassifier,
    RidgeStudentRegressor,
    as_teacher,
)
from soft_students.comparison import compare_students
from soft_students.comparison.distillation import frames
from soft_students.datasets import Dataset, load_dataset

EVIL = "<script>window.hacked = true</script>"
EVIL_FEATURE = "<img src=x onerror='window.hacked = true'>"


class Failing(DecisionTreeStudentClassifier):
    """A student that cannot be trained."""

    def fit(self, X, y=None, **settings):
        raise RuntimeError("no <b>luck</b>")


@pytest.fixture(scope="session")
def compare_digits():
    """Return a function that compares students of a regression on digits, in a folder."""
    data = load_dataset("digits")
    teacher = as_teacher(LogisticRegression(max_iter=300).fit(data.X_train, data.y_train))
    students = {
        "stump": DecisionTreeStudentClassifier(max_depth=1, random_state=0),
        "tree": DecisionTreeStudentClassifier(max_depth=7, random_state=0),
        "bad": Failing(),
    }

    def compare(folder, names=("stump", "tree", "bad"), constraints=None):
        return compare_students(
            {name: students[name] for name in names},
            teacher,
            data,
            folder,
            criteria={"accuracy": 0.7, "size": 0.3},
            method="index",
            constraints=constraints,
            random_state=5,
        )

    return compare


@pytest.fixture(scope="session")
def digits(compare_digits, tmp_path_factory):
    """Return a comparison of images, one student of which failed, and its folder."""
    folder = tmp_path_factory.mktemp("digits")
    return compare_digits(folder), folder


@pytest.fixture(scope="session")
def evil(tmp_path_factory):
    """Return a comparison of a table whose names are dangerous, with a limit, and its folder."""
    folder = tmp_path_factory.mktemp("evil")
    X, y = load_wine(return_X_y=True)
    X = X.astype(np.float32)
    labels = np.array([EVIL, 'b & "c"', "grignolino\u202e"])[y]
    names = [EVIL_FEATURE, *(f"feature {k}" for k in range(1, X.shape[1]))]
    rows = np.random.default_rng(0).permutation(len(X))
    a, b = rows[:110], rows[110:]
    data = Dataset(
        "<b>wine</b>", X[a], labels[a], X[b], labels[b], np.unique(labels), names, None, "<u>here"
    )
    teacher = as_teacher(GaussianNB().fit(frames(data)[0], data.y_train))
    students = {
        "<i>stump": DecisionTreeStudentClassifier(max_depth=1),
        "tree": DecisionTreeStudentClassifier(max_depth=3),
        "logistic": LogisticStudentClassifier(),
    }
    result = compare_students(
        students,
        teacher,
        data,
        folder,
        criteria=["accuracy", "ece"],
        constraints={"accuracy": 0.8},
        command=f"softkd compare '{EVIL}'",
    )
    return result, folder


@pytest.fixture(scope="session")
def values(tmp_path_factory):
    """Return a comparison of regressors, and its folder."""
    folder = tmp_path_factory.mktemp("values")
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(np.float32)
    data = Dataset(
        "diabetes", X[:300], y[:300], X[300:], y[300:], None, None, None, "", "regression"
    )
    students = {"tree": DecisionTreeStudentRegressor(max_depth=3), "ridge": RidgeStudentRegressor()}
    teacher = as_teacher(LinearRegression().fit(data.X_train, data.y_train), task="regression")
    result = compare_students(students, teacher, data, folder, criteria=["r2", "latency"])
    return result, folder
