import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students.students import available
from soft_students.students.classical import boosting_rounds
from soft_students.students.classical.base import ClassicalStudent

CLASSICAL = [
    name for name, entry in available().items() if issubclass(entry.classes[0], ClassicalStudent)
]


@pytest.fixture(scope="session")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture(scope="session")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X[:150], y[:150]


@pytest.fixture(scope="session")
def wine_teacher(wine):
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(*wine)


@pytest.fixture(params=CLASSICAL)
def student_name(request):
    """Return the name of each student; a class may expect a test to fail, as it may a check."""
    expected = available()[request.param].classes[0]._expected_failed_checks
    if request.function.__name__ in expected:
        reason = expected[request.function.__name__]
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return request.param


@pytest.fixture
def classifier(student_name):
    """Return a function that makes the classifier of each classical student."""

    def make(**parameters):
        known = available()[student_name].classifier
        return known(**{"random_state": 0, **known._test_params(), **parameters})

    return make


@pytest.fixture
def regressor(student_name):
    """Return a function that makes the regressor of each classical student."""

    def make(**parameters):
        known = available()[student_name].regressor
        if known is None:
            pytest.skip("a classifier alone")
        return known(**{"random_state": 0, **known._test_params(), **parameters})

    return make


@pytest.fixture(scope="session")
def soft_targets(wine, wine_teacher):
    return wine_teacher.predict_proba(wine[0]) * 0.8 + 0.2 / 3


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def every_round(monkeypatch):
    """Let boosted students write a checkpoint after each round."""
    monkeypatch.setattr(boosting_rounds, "CHECKPOINT_INTERVAL", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training.checkpoint"


@pytest.fixture(scope="session")
def lesson(wine):
    """Rows with missing values, a teacher's probabilities, labels."""
    X, y = wine
    X = np.where(np.random.RandomState(0).random_sample(X.shape) < 0.05, np.nan, X)
    logits = np.random.RandomState(1).normal(size=(len(X), 3)) + 3 * np.eye(3)[y]
    return X, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), y
