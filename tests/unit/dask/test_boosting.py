import dask.array as da
import numpy as np
import pytest
import xgboost
from distributed import Client, LocalCluster
from xgboost import XGBClassifier

from soft_students import DecisionTreeStudentClassifier
from soft_students.dask import fit_xgboost
from soft_students.students import XGBoostStudentClassifier, XGBoostStudentRegressor
from soft_students.students.files import dumps, loads

N, N_FEATURES = 400, 5


@pytest.fixture(scope="module")
def X():  # noqa: N802
    """Of few distinct values, so that bins lie at each of them wherever the rows are."""
    return np.random.RandomState(0).normal(size=(N, N_FEATURES)).round(1)


def probabilities(X, n_classes):
    powers = np.exp(X @ np.random.RandomState(1).normal(size=(N_FEATURES, n_classes)))
    return powers / powers.sum(axis=1, keepdims=True)


def blocks(array, rows=90):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def classifier(**parameters):
    return XGBoostStudentClassifier(
        **{"n_estimators": 10, "n_jobs": 1, "random_state": 0, **parameters}
    )


@pytest.mark.parametrize(
    ("n_classes", "parameters"),
    [
        (2, {"temperature": 2.0}),
        (3, {}),
        (3, {"temperature": 3.0, "learning_rate": 0.5, "max_depth": 3}),
        (3, {"tree_method": "approx", "base_score": 0.3}),
    ],
)
def test_the_trees_of_a_local_fit(client, X, n_classes, parameters):
    Q = probabilities(X, n_classes)
    student = classifier(**parameters)
    fitted = fit_xgboost(student, blocks(X), blocks(Q), client=client)
    local = classifier(**parameters).fit(X, Q)
    assert not hasattr(student, "estimator_")
    assert isinstance(fitted.estimator_, XGBClassifier)
    np.testing.assert_allclose(fitted.predict_proba(X), local.predict_proba(X), atol=1e-6)
    assert set(vars(fitted)) == set(vars(local))
    np.testing.assert_array_equal(loads(dumps(fitted)).predict_proba(X), fitted.predict_proba(X))


def test_labels_alone_and_beside_a_teacher(client, X):
    Q = probabilities(X, 3)
    names = np.array(["a", "b", "c"])
    y = names[Q.argmax(axis=1)]
    y[:80] = "c"  # the first block lacks classes
    fitted = fit_xgboost(classifier(), blocks(X), blocks(y), client=client)
    np.testing.assert_array_equal(fitted.classes_, names)
    np.testing.assert_allclose(
        fitted.predict_proba(X), classifier().fit(X, y).predict_proba(X), atol=1e-6
    )
    mixed = classifier(hard_weight=0.4, temperature=2.0)
    fitted = fit_xgboost(
        mixed, blocks(X), blocks(Q), labels=blocks(y), classes=names, client=client
    )
    np.testing.assert_allclose(
        fitted.predict_proba(X), mixed.fit(X, Q, labels=y).predict_proba(X), atol=1e-6
    )


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_values(client, X, n_outputs):
    values = np.tanh(X[:, :n_outputs]) if n_outputs > 1 else X[:, 0] * X[:, 1]
    student = XGBoostStudentRegressor(n_estimators=10, n_jobs=1, random_state=0)
    fitted = fit_xgboost(student, blocks(X), blocks(values), client=client)
    local = student.fit(X, values)
    np.testing.assert_allclose(fitted.predict(X), local.predict(X), atol=1e-6)
    assert set(vars(fitted)) == set(vars(local))


def test_blocks_are_brought_together_and_missing_values_stay(client, X):
    Q = probabilities(X, 3)
    X = X.copy()
    X[::7, 1] = np.nan
    fitted = fit_xgboost(
        classifier(), da.from_array(X, chunks=(90, 2)), da.from_array(Q, (64, 1)), client=client
    )
    local = classifier().fit(X, Q)
    np.testing.assert_allclose(fitted.predict_proba(X), local.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": "auto"}, "fit_xgboost does not support temperature='auto'"),
        ({"early_stopping_rounds": 3}, "early_stopping_rounds=3 needs all rows in one place"),
        ({"tree_method": "exact"}, "tree_method='exact' needs all rows"),
        ({"checkpoint": "kept"}, "fit_xgboost does not support checkpoint='kept'"),
        ({"hard_weight": 0.5}, "hard_weight=0.5 mixes in true labels"),
        ({"max_depth": -1}, "The 'max_depth' parameter of XGBoostStudentClassifier"),
    ],
)
def test_parameters_that_do_not_fit(client, X, parameters, message):
    with pytest.raises(ValueError, match=message):
        fit_xgboost(classifier(**parameters), blocks(X), blocks(probabilities(X, 3)), client=client)


def test_arrays_that_do_not_fit(client, X):
    Q = probabilities(X, 3)
    with pytest.raises(ValueError, match="X has 400 rows in 5 blocks, the targets 399"):
        fit_xgboost(classifier(), blocks(X), blocks(Q[1:]), client=client)
    with pytest.raises(ValueError, match="Rows of soft targets must sum to one"):
        fit_xgboost(classifier(), blocks(X), blocks(2 * Q), client=client)
    with pytest.raises(ValueError, match="at least two classes, got 1 class"):
        fit_xgboost(classifier(), blocks(X), blocks(np.zeros(N, dtype=int)), client=client)
    with pytest.raises(ValueError, match=r"The labels contain \[1\]"):
        fit_xgboost(
            classifier(), blocks(X), blocks(np.ones(N, dtype=int)), classes=[0, 2], client=client
        )
    with pytest.raises(TypeError, match="The X of fit_xgboost must be a Dask array"):
        fit_xgboost(classifier(), X, blocks(Q), client=client)
    with pytest.raises(TypeError, match="Got DecisionTreeStudentClassifier"):
        fit_xgboost(DecisionTreeStudentClassifier(), blocks(X), blocks(Q), client=client)


def test_a_lost_worker_is_named(client, X, monkeypatch):
    said = "/xgboost/src/collective/result.cc:83: Ring Allreduce failed"

    def train(*args):
        raise xgboost.core.XGBoostError(said)

    monkeypatch.setattr("soft_students.dask.boosting._train", train)
    arrays = blocks(X), blocks(probabilities(X, 2))
    with pytest.raises(ConnectionError, match="A worker was killed while the trees were grown"):
        fit_xgboost(classifier(), *arrays, client=client)
    said = "/xgboost/src/tree/updater.cc:1: no such thing"
    with pytest.raises(xgboost.core.XGBoostError, match="no such thing"):
        fit_xgboost(classifier(), *arrays, client=client)


def test_workers_that_are_threads_need_the_default_client(X):
    settings = {"n_workers": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(**settings) as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(ValueError, match="find only the default client"),
    ):
        fit_xgboost(classifier(), blocks(X), blocks(probabilities(X, 2)), client=client)


def test_blocks_of_unknown_length(client, X):
    Q = probabilities(X, 2)
    kept = X[:, 0] > -0.5
    rows = blocks(X)[blocks(kept)]
    fitted = fit_xgboost(classifier(), rows, blocks(Q)[blocks(kept)], client=client)
    local = classifier().fit(X[kept], Q[kept])
    np.testing.assert_allclose(fitted.predict_proba(X), local.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match="need equal blocks"):
        fit_xgboost(classifier(), rows, blocks(Q, 50), client=client)
    with pytest.raises(ValueError, match=r"Block \d of X has \d+ rows, but that of the targets 90"):
        fit_xgboost(classifier(), rows, blocks(Q), client=client)
