import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

from soft_students.students import XGBoostStudentClassifier, XGBoostStudentRegressor
from soft_students.students.classical.soft_cross_entropy import SoftCrossEntropy
from soft_students.students.files import dumps, loads


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


def test_labels_of_many_uneven_classes_give_native_training(rng):
    """A start that differed in the fifth digit chose other splits after a few rounds."""
    X = rng.normal(size=(600, 8))
    y = np.minimum(rng.geometric(0.12, size=600) - 1, 15)
    native = XGBClassifier(n_estimators=15, n_jobs=1).fit(X, y)
    found = student().fit(X, np.eye(16)[y])
    np.testing.assert_allclose(found.predict_proba(X), native.predict_proba(X), atol=1e-6)


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


@pytest.mark.parametrize(
    "parameters",
    [
        {"gamma": 2.0},
        {"max_leaves": 4, "grow_policy": "lossguide"},
        {"colsample_bylevel": 0.5},
        {"colsample_bynode": 0.5},
        {"max_delta_step": 0.3},
        {"monotone_constraints": (1,) * 13},
        {"interaction_constraints": [[0, 1, 2], [6, 12]]},
        {"multi_strategy": "multi_output_tree"},
        {"base_score": 0.3},
        {"max_bin": 8},
        {"subsample": 0.5},
        {"tree_method": "exact"},
    ],
)
def test_parameters_mean_what_they_mean_to_xgboost(wine, parameters):
    X, y = wine
    found = student(**parameters).fit(X, np.eye(3)[y])
    seed = found.estimator_.random_state
    if "interaction_constraints" in parameters:  # XGBoost takes numbers in a string alone
        parameters = {"interaction_constraints": str(parameters["interaction_constraints"])}
    native = XGBClassifier(n_estimators=15, random_state=seed, n_jobs=1, **parameters).fit(X, y)
    np.testing.assert_allclose(found.predict_proba(X), native.predict_proba(X), atol=1e-6)
    if parameters.get("tree_method") != "exact" and "base_score" not in parameters:
        assert np.abs(found.predict_proba(X) - student().fit(X, y).predict_proba(X)).max() > 1e-4


@pytest.mark.parametrize("n_classes", [2, 3])
def test_base_score_may_be_a_logit_for_each_class(wine, n_classes):
    X, y = wine[0][wine[1] < n_classes], wine[1][wine[1] < n_classes]
    logits = np.array([0.4, -1.0, 2.0])[:n_classes]
    fitted = student(n_estimators=1, learning_rate=1e-6, base_score=logits).fit(X, y)
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(fitted.predict_proba(X[:1])[0], expected, atol=1e-5)
    again = loads(dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    for wrong in ([0.1], [0.0, 1.0, 2.0, 3.0], [np.nan] * n_classes):
        with pytest.raises(ValueError, match=f"finite logit for each of {n_classes} classes"):
            student(base_score=wrong).fit(X, y)


def test_constraints_may_name_features(wine):
    X, y = wine
    frame = pd.DataFrame(X, columns=[f"x[{i}]" for i in range(X.shape[1])])
    by_number = {
        "monotone_constraints": [0] * 6 + [-1] + [0] * 6,
        "interaction_constraints": [[0, 6], [12]],
    }
    by_name = {
        "monotone_constraints": {"x[6]": -1},
        "interaction_constraints": [["x[0]", "x[6]"], ["x[12]"]],
    }
    expected = student(**by_number).fit(X, y).predict_proba(X)
    fitted = student(**by_name).fit(frame, y)
    np.testing.assert_array_equal(fitted.predict_proba(frame), expected)
    np.testing.assert_array_equal(loads(dumps(fitted)).predict_proba(frame), expected)


def test_a_monotone_constraint_holds_on_soft_targets(wine, soft_targets):
    X, _ = wine
    targets = soft_targets[:, :2] / soft_targets[:, :2].sum(axis=1, keepdims=True)
    fitted = student(monotone_constraints=[0] * 12 + [1]).fit(X, targets)
    line = np.repeat(X[:40], 50, axis=0)
    line[:, 12] = np.tile(np.linspace(200, 1800, 50), 40)
    second = fitted.predict_proba(line)[:, 1].reshape(40, 50)
    assert (np.diff(second, axis=1) >= 0).all()
    assert np.ptp(second) > 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"monotone_constraints": [1, 0]}, "-1, 0 or 1 for each of 13 features"),
        ({"monotone_constraints": [2] * 13}, "-1, 0 or 1 for each of 13 features"),
        ({"monotone_constraints": {"colour": 1}}, "must name features: a number below 13"),
        ({"interaction_constraints": [[0, 13]]}, "must name features.*Got 13"),
    ],
)
def test_constraints_that_fit_no_features_are_refused(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        student(**parameters).fit(*wine)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_early_stopping_follows_the_soft_log_loss(wine, soft_targets, n_classes):
    """The best round is the one that a slow search over all rounds finds."""
    X, _ = wine
    targets = soft_targets[:, :n_classes] / soft_targets[:, :n_classes].sum(axis=1, keepdims=True)
    targets = np.random.RandomState(0).permutation(targets)  # nothing to learn for long
    weights = np.random.RandomState(1).uniform(0.5, 2, len(X))
    settings = {"n_estimators": 60, "early_stopping_rounds": 60, "learning_rate": 0.1}
    fitted = student(**settings).fit(X, targets, sample_weight=weights)
    start = np.log(np.average(targets, axis=0, weights=weights))
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    X, X_val, targets, held, weights, held_weights = train_test_split(
        X, targets, weights, test_size=0.1, random_state=seed
    )
    losses = []
    for rounds in range(1, 61):
        alone = student(n_estimators=rounds, learning_rate=0.1, base_score=start)
        p = alone.fit(X, targets, sample_weight=weights).predict_proba(X_val)
        losses.append(-held_weights @ (held * np.log(p)).sum(axis=1))
    assert fitted.estimator_.get_booster().num_boosted_rounds() == np.argmin(losses) + 1
