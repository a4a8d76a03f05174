import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students.students import available
from soft_students.students.classical import boosting_rounds

#: Small and quick.
SETTINGS = {
    "xgboost": {"n_estimators": 15, "n_jobs": 1},
    "lightgbm": {"n_estimators": 30, "min_child_samples": 4, "n_jobs": 1},
    "hist": {"max_iter": 30, "min_samples_leaf": 1, "max_leaf_nodes": 8},
    "tree": {"max_depth": 4},
    "forest": {"n_estimators": 8},
    "extra_trees": {"n_estimators": 8},
    "logistic": {},
    "svm": {"C": 10.0, "tol": 1e-8},
    "generic": {},
    "knn": {"n_neighbors": 3, "weights": "distance"},
}


@pytest.fixture
def settings():
    return SETTINGS


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


@pytest.fixture(params=list(SETTINGS))
def student_name(request):
    return request.param


@pytest.fixture
def classifier(student_name):
    """Return a function that makes the classifier of each classical student."""

    def make(**parameters):
        settings = SETTINGS[student_name] | parameters
        known = available()[student_name].classifier
        if "random_state" in known().get_params():
            settings.setdefault("random_state", 0)
        return known(**settings)

    return make


@pytest.fixture
def regressor(student_name):
    """Return a function that makes the regressor of each classical student."""

    def make(**parameters):
        settings = {"random_state": 0, **SETTINGS[student_name], **parameters}
        return available()[student_name].regressor(**settings)

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
