import numpy as np
import pytest
from xgboost import XGBClassifier

from soft_students.students import XGBoostStudentClassifier, XGBoostStudentRegressor
from soft_students.students.classical.soft_cross_entropy import SoftCrossEntropy


def student(**parameters):
    return XGBoostStudentClassifier(
        **{"n_estimators": 15, "random_state": 0, "n_jobs": 1, **parameters}
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_give_native_training(wine, n_classes):
    X, y = wine
    X, y = X[y < n_classes], y[y < n_classes]
    native = XGBClassifier(n_estimators=15, random_state=0, n_jobs=1).fit(X, y)
    found = student().fit(X, np.eye(n_classes)[y]).predict_proba(X)
    np.testing.assert_allclose(found, native.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_student_is_a_plain_xgboost_model(wine, soft_targets, tmp_path, temperature):
    X, _ = wine
    fitted = student(temperature=temperature).fit(X, soft_targets)
    fitted.estimator_.save_model(tmp_path / "plain.ubj")
    plain = XGBClassifier()
    plain.load_model(tmp_path / "plain.ubj")
    np.testing.assert_array_equal(plain.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_gradient_and_hessian_are_those_of_the_loss(rng, n_classes, temperature):
    targets = rng.dirichlet(np.ones(n_classes), size=6)
    weights = rng.uniform(0.5, 2, size=6)
    margins = rng.normal(size=6 if n_classes == 2 else (6, n_classes))

    def loss(z):
        z = np.stack([0 * z, z], axis=1) if n_classes == 2 else z
        log_p = z / temperature - np.log(np.exp(z / temperature).sum(axis=1, keepdims=True))
        return -(temperature**2) * weights @ (targets * log_p).sum(axis=1)

    objective = SoftCrossEntropy(targets, weights, temperature)
    gradient, hessian = objective(margins.astype(np.float32), None)
    step = 1e-4
    for index in np.ndindex(margins.shape):
        up, down = margins.copy(), margins.copy()
        up[index] += step
        down[index] -= step
        slope = (loss(up) - loss(down)) / (2 * step)
        curvature = (loss(up) - 2 * loss(margins) + loss(down)) / step**2
        assert gradient[index] == pytest.approx(slope, abs=1e-5)
        # XGBoost doubles the diagonal where there are several trees a round
        factor = 1 if n_classes == 2 else 2
        assert hessian[index] == pytest.approx(factor * curvature, abs=1e-4)
    mean = objective.loss(margins, targets, weights)
    assert mean == pytest.approx(loss(margins) / temperature**2 / weights.sum(), rel=1e-6)


def test_early_stopping_keeps_the_best_round(wine, soft_targets):
    X, _ = wine
    stopped = student(n_estimators=400, early_stopping_rounds=5, learning_rate=0.5)
    rounds = stopped.fit(X, soft_targets).estimator_.get_booster().num_boosted_rounds()
    assert 1 <= rounds < 400
    again = student(n_estimators=400, early_stopping_rounds=5, learning_rate=0.5)
    np.testing.assert_array_equal(
        again.fit(X, soft_targets).predict_proba(X), stopped.predict_proba(X)
    )
    regressor = XGBoostStudentRegressor(
        n_estimators=400, early_stopping_rounds=5, learning_rate=0.5, random_state=0
    ).fit(X, X[:, 0] + np.random.RandomState(0).normal(size=len(X)))
    assert regressor.estimator_.get_booster().num_boosted_rounds() < 400


def test_values_may_be_missing(wine):
    X, y = wine
    X = X.copy()
    X[::3, 2] = np.nan
    assert student().fit(X, y).score(X, y) > 0.95


def test_one_class_is_refused(wine):
    with pytest.raises(ValueError, match="at least two classes"):
        student().fit(wine[0], np.zeros(len(wine[0])))
