"""Confidence intervals by resampling rows."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import accuracy_score, f1_score

from soft_students.evaluation import bootstrap_interval
from soft_students.evaluation.intervals import resampled_means


def plain_bootstrap(metric, arrays, n_resamples, seed):
    """Restate the percentile bootstrap: a loop over resamples."""
    generator = np.random.default_rng(seed)
    n = len(arrays[0])
    values = []
    for _ in range(n_resamples):
        drawn = [int(generator.random() * n) for _ in range(n)]
        values.append(metric(*(array[drawn] for array in arrays)))
    return np.quantile(values, [0.025, 0.975]), np.std(values, ddof=1)


@pytest.fixture
def labels():
    generator = np.random.default_rng(0)
    y = generator.integers(3, size=200)
    return y, np.where(generator.random(200) < 0.8, y, generator.integers(3, size=200))


def accuracy(y, predicted):
    """Restate `accuracy_score`, whose checks of the input would take most of the time."""
    return np.mean(y == predicted)


def macro_f1(y, predicted):
    """Restate `f1_score(average="macro")` of the classes 0, 1 and 2."""
    counts = np.bincount(3 * y + predicted, minlength=9).reshape(3, 3)
    return np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1)))


def test_it_is_that_of_a_loop_over_resamples(labels):
    assert macro_f1(*labels) == pytest.approx(f1_score(*labels, average="macro"), rel=1e-12)
    found = bootstrap_interval(macro_f1, *labels, n_resamples=1500, random_state=0)
    ends, error = plain_bootstrap(macro_f1, labels, 1500, seed=1)
    assert (found.low, found.high) == pytest.approx(ends, abs=0.012)
    assert found.standard_error == pytest.approx(error, rel=0.1)


def test_a_fraction_has_the_quantiles_of_the_binomial():
    y, predicted = np.zeros(400), np.repeat([0, 1], [300, 100])
    found = bootstrap_interval(accuracy, y, predicted, n_resamples=4000, random_state=0)
    exact = binom.ppf([0.025, 0.975], 400, 0.75) / 400
    assert (found.low, found.high) == pytest.approx(exact, abs=0.006)
    assert found.standard_error == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.05)


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
def test_every_method_of_scipy_is_there(labels, method):
    found = bootstrap_interval(
        accuracy_score, *labels, n_resamples=200, method=method, random_state=0
    )
    assert found.low < accuracy_score(*labels) < found.high


def test_products_of_matrices_resample_the_same_rows(labels):
    right = (labels[0] == labels[1]).astype(float)
    settings = {"n_resamples": 300, "confidence": 0.9, "random_state": 3}
    (fast,) = resampled_means(right[:, None], lambda means: [means[:, 0]], **settings)
    slow = bootstrap_interval(np.mean, right, **settings)
    assert (fast.low, fast.high, fast.standard_error) == pytest.approx(
        (slow.low, slow.high, slow.standard_error), abs=1e-12
    )


def test_batches_change_nothing(labels, monkeypatch):
    right = (labels[0] == labels[1]).astype(float)[:, None]

    def interval():
        return resampled_means(
            right, lambda means: [means[:, 0]], n_resamples=50, confidence=0.9, random_state=0
        )

    whole = interval()
    monkeypatch.setattr("soft_students.evaluation.intervals._ENTRIES", 1400)
    assert interval() == whole


def test_rows_of_any_shape_stay_together():
    table = np.column_stack([np.arange(10.0), -np.arange(10.0)])
    found = bootstrap_interval(
        lambda table, y: float(np.abs(table.sum(axis=1)).max() + (table[:, 0] != y).mean()),
        table, np.arange(10), n_resamples=20, random_state=0,
    )  # fmt: skip
    assert (found.low, found.high) == (0, 0)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="arrays of 2, 3 rows"):
        bootstrap_interval(accuracy_score, [0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match=r"at least two rows\. Got 1"):
        bootstrap_interval(accuracy_score, [0], [0])
    with pytest.raises(ValueError, match="of no rows"):
        bootstrap_interval(accuracy_score)
