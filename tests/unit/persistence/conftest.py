"""A student small enough to see through, so that these tests are about files alone."""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from soft_students.students import registry
from soft_students.students.registry import StudentEntry


class NearestCentre(ClassifierMixin, BaseEstimator):
    """Predicts the class of the nearest centre."""

    _parameter_constraints: ClassVar = {
        "power": [float, int, tuple],
        "transfer": "no_validation",
    }

    def __init__(self, power=2.0, transfer=None):
        self.power = power
        self.transfer = transfer

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.centres_ = np.array([X[y == label].mean(axis=0) for label in self.classes_])
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        distances = (np.abs(X[:, None] - self.centres_) ** self.power).sum(axis=2)
        return self.classes_[distances.argmin(axis=1)]

    def _bundle_state(self):
        return {"classes": self.classes_}, {"centres": self.centres_}

    def _restore_bundle(self, metadata, arrays):
        centres, classes = arrays["centres"], metadata["classes"]
        if centres.ndim != 2 or classes.shape != centres.shape[:1]:
            raise ValueError(f"centres have shape {centres.shape} for {len(classes)} classes")
        self.classes_, self.centres_ = classes, centres
        self.n_features_in_ = centres.shape[1]


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    entry = StudentEntry("centre", NearestCentre, None, "The nearest centre.")
    monkeypatch.setattr(registry, "_ENTRIES", [*registry._ENTRIES, entry])


@pytest.fixture
def X():  # noqa: N802
    return np.random.default_rng(0).normal(size=(30, 3)) + np.repeat(np.eye(3), 10, axis=0) * 5


@pytest.fixture
def student(X):
    return NearestCentre().fit(X, np.repeat(["ant", "bee", "cicada"], 10))


@pytest.fixture
def content():
    """What format 1 says of a student with the centres 0 and 1, to be written by hand."""
    return {
        "student": "centre",
        "class": "NearestCentre",
        "params": {"power": 1, "transfer": None},
        "fitted": {"classes": {"__array__": {"dtype": "str", "values": ["no", "yes"]}}},
        "written_by": {"soft-students": "0.1.0"},
    }


@pytest.fixture
def centres():
    return np.array([[0.0], [1.0]])
