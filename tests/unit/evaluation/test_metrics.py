"""The registry of metrics: each is what its function, or scikit-learn's, returns."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)

from soft_students.evaluation import (
    METRICS,
    adaptive_calibration_error,
    agreement,
    brier_score,
    expected_calibration_error,
    get_metric,
    kl_to_teacher,
    log_loss,
    soft_cross_entropy,
    top_k_agreement,
)
from soft_students.evaluation.answers import Predictions
from tests.references import task as reference


def classes(n=200, seed=0):
    """Return answers where the last of five classes is never predicted, true or taught."""
    generator = np.random.default_rng(seed)
    nothing = np.zeros((n, 1))
    proba, taught = (
        np.hstack([generator.dirichlet(np.ones(4), size=n), nothing]) for _ in range(2)
    )
    return Predictions(
        predicted=proba.argmax(axis=1),
        proba=proba,
        truth=generator.integers(4, size=n),
        taught=taught.argmax(axis=1),
        taught_proba=taught,
        classes=np.arange(5),
    )


def values(n=100, outputs=None):
    generator = np.random.default_rng(0)
    shape = n if outputs is None else (n, outputs)
    truth, taught = 1e6 + generator.normal(size=shape), 1e6 + generator.normal(size=shape)
    return Predictions(
        predicted=truth + 0.5 * generator.normal(size=shape), truth=truth, taught=taught
    )


def value(name, of):
    metric = METRICS[name]
    return float(metric.combine(metric.rows(of).mean(axis=0)))


EXPECTED = {
    "accuracy": lambda of: accuracy_score(of.truth, of.predicted),
    "macro_f1": lambda of: reference.macro_f1(of.predicted.tolist(), of.truth.tolist()),
    "log_loss": lambda of: log_loss(of.proba, of.truth),
    "brier_score": lambda of: brier_score(of.proba, of.truth),
    "ece": lambda of: expected_calibration_error(of.proba, of.truth),
    "adaptive_ece": lambda of: adaptive_calibration_error(of.proba, of.truth),
    "agreement": lambda of: agreement(of.proba, of.taught_proba),
    "top_2_agreement": lambda of: top_k_agreement(of.proba, of.taught_proba, 2),
    "kl_to_teacher": lambda of: kl_to_teacher(of.proba, of.taught_proba),
    "soft_cross_entropy": lambda of: soft_cross_entropy(of.proba, of.taught_proba),
}
EXPECTED_OF_VALUES = {
    "r2": lambda of: r2_score(of.truth, of.predicted),
    "mse": lambda of: mean_squared_error(of.truth, of.predicted),
    "mae": lambda of: mean_absolute_error(of.truth, of.predicted),
    "r2_to_teacher": lambda of: r2_score(of.taught, of.predicted),
    "mse_to_teacher": lambda of: mean_squared_error(of.taught, of.predicted),
    "mae_to_teacher": lambda of: mean_absolute_error(of.taught, of.predicted),
}


def test_every_metric_is_checked_here():
    rows = {name for name, metric in METRICS.items() if metric.rows is not None}
    assert rows == {*EXPECTED, *EXPECTED_OF_VALUES}
    costs = {name for name, metric in METRICS.items() if metric.group == "cost"}
    assert costs == {name for name, metric in METRICS.items() if metric.measure is not None}
    assert costs == {"bytes", "parameters", "flops", "latency_us", "throughput"}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("n", [1, 7, 200])
def test_metrics_of_classes_equal_their_functions(name, n):
    assert value(name, classes(n)) == pytest.approx(EXPECTED[name](classes(n)), abs=1e-12)


@pytest.mark.parametrize("name", EXPECTED_OF_VALUES)
@pytest.mark.parametrize("outputs", [None, 3])
def test_metrics_of_values_equal_scikit_learns(name, outputs):
    of = values(outputs=outputs)
    assert value(name, of) == pytest.approx(EXPECTED_OF_VALUES[name](of), rel=1e-7)


def test_macro_f1_is_scikit_learns():
    of = classes()
    expected = f1_score(of.truth, of.predicted, average="macro")
    assert value("macro_f1", of) == pytest.approx(expected)


def test_r2_of_constant_values_is_scikit_learns():
    for error in (0.0, 0.5):
        of = Predictions(predicted=np.full(4, 2.0 + error), truth=np.full(4, 2.0))
        assert value("r2", of) == r2_score(of.truth, of.predicted)


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        (name, [0, 0, 1, 1], [0, 1, 1, 1])
        for name, metric in METRICS.items()
        if metric.task == "classification"
    ],
)
def test_directions_say_which_is_better(name, better, worse):
    truth = np.array([0, 0, 1, 1])

    def of(labels):
        proba = np.where(np.eye(2)[labels] == 1, 0.99, 0.01)
        return Predictions(np.array(labels), proba, truth, truth, np.eye(2)[truth], np.arange(2))

    if name == "top_2_agreement":
        assert value(name, of(better)) == value(name, of(worse)) == 1  # of two classes always
        return
    sign = 1 if METRICS[name].direction == "higher" else -1
    assert sign * value(name, of(better)) > sign * value(name, of(worse))


def test_values_are_shown_as_people_read_them():
    assert METRICS["accuracy"].show(0.98765) == "98.77%"
    assert METRICS["bytes"].show(12345) == "12,345"
    assert METRICS["kl_to_teacher"].show(None) == ""


def test_an_unknown_name_says_what_there_is():
    assert get_metric("ece") is METRICS["ece"]
    with pytest.raises(
        ValueError, match=r"Unknown metric 'acuracy'.*flops.*Did you mean 'accuracy'"
    ):
        get_metric("acuracy")
