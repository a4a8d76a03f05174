"""Confidence intervals of metrics, by the bootstrap over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap

_ENTRIES = 2**22  # resampled row numbers held in memory at once


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Parameters
    ----------
    low, high : float
    standard_error : float
        Standard deviation of the resampled values.
    """

    low: float
    high: float
    standard_error: float


def bootstrap_interval(
    metric: Callable[..., float],
    *arrays: ArrayLike,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    method: str = "percentile",
    random_state: int | None = None,
) -> Interval:
    """Return a bootstrap confidence interval of any metric computed from rows.

    The interval covers variation by the choice of test rows, not by the training; for the latter,
    train with several seeds.

    Parameters
    ----------
    metric : callable
        Called as ``metric(*arrays)``; a function of this package, of `sklearn.metrics` or your own.
    *arrays : array-like of shape (n_samples, ...)
        Arguments of the metric; the same rows of all arrays are resampled together.
    n_resamples : int, default=1000
        Calls of the metric. The BCa method adds one call per row.
    confidence : float, default=0.95
    method : {"percentile", "basic", "BCa"}, default="percentile"
        As in :func:`scipy.stats.bootstrap`.
    random_state : int or None, default=None
        The same seed resamples the same rows for every metric.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the arrays differ in their number of rows or have fewer than two.

    References
    ----------
    Efron and Tibshirani (1993), "An introduction to the bootstrap", chapters 13 and 14.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> from soft_students.evaluation import bootstrap_interval
    >>> y, predicted = [0] * 100, [0] * 80 + [1] * 20
    >>> found = bootstrap_interval(accuracy_score, y, predicted, random_state=0)
    >>> 0.7 < found.low < 0.75 and 0.85 < found.high < 0.9
    True
    """
    rows = [np.asarray(array) for array in arrays]
    counts = {len(array) if array.ndim else 0 for array in rows}
    if len(counts) != 1:
        raise ValueError(
            "The arrays of a bootstrap must have the same number of rows. Got arrays of "
            f"{', '.join(str(count) for count in sorted(counts)) or 'no'} rows."
        )

    def statistic(drawn: np.ndarray) -> float:
        return metric(*(array[drawn] for array in rows))

    return _resampled(
        statistic, counts.pop(), False, None, n_resamples, confidence, method, random_state
    )[0]


def resampled_means(
    values: np.ndarray,
    combine: Callable[[np.ndarray], Sequence[np.ndarray]],
    *,
    n_resamples: int,
    confidence: float,
    random_state: int | None,
) -> list[Interval]:
    """Return bootstrap intervals of many metrics at once, all functions of means over rows.

    The product of the matrix of draw counts with the values gives the means of all metrics of all
    models in all resamples.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_values)
    combine : callable
        Maps means of shape (n_resamples, n_values) to the metrics, each of shape (n_resamples,).
    n_resamples : int
    confidence : float
    random_state : int or None

    Returns
    -------
    list of Interval
        Percentile interval of each metric; NaN if a metric is undefined in a resample.
    """
    n_samples = len(values)

    def statistic(drawn: np.ndarray, axis: int) -> np.ndarray:
        drawn = np.atleast_2d(drawn)
        n_drawn = len(drawn)
        places = drawn + n_samples * np.arange(n_drawn)[:, None]
        times = np.bincount(places.ravel(), minlength=n_drawn * n_samples)
        means = times.reshape(n_drawn, n_samples) @ values / n_samples
        return np.stack(combine(means))

    batch = max(1, _ENTRIES // n_samples)
    return _resampled(
        statistic, n_samples, True, batch, n_resamples, confidence, "percentile", random_state
    )


def redrawn_means(values: np.ndarray, n_draws: int, random_state: int | None) -> np.ndarray:
    """Return the means of values over rows, in bootstrap resamples of the rows.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_values)
    n_draws : int
    random_state : int or None

    Returns
    -------
    ndarray of shape (n_draws, n_values)
    """
    n_samples = len(values)
    rng, batch = np.random.default_rng(random_state), max(1, _ENTRIES // n_samples)
    shares = np.full(n_samples, 1 / n_samples)
    return np.concatenate(
        [
            rng.multinomial(n_samples, shares, size=min(batch, n_draws - done)) @ values / n_samples
            for done in range(0, n_draws, batch)
        ]
    )


def _resampled(
    statistic: Callable[..., Any],
    n_samples: int,
    vectorized: bool,
    batch: int | None,
    n_resamples: int,
    confidence: float,
    method: str,
    random_state: int | None,
) -> list[Interval]:
    if n_samples < 2:
        raise ValueError(f"A bootstrap needs at least two rows. Got {n_samples}.")
    found = bootstrap(
        (np.arange(n_samples),),
        statistic,
        n_resamples=n_resamples,
        batch=batch,
        vectorized=vectorized,
        confidence_level=confidence,
        method=method,
        random_state=np.random.default_rng(random_state),
    )
    low, high = np.atleast_1d(*found.confidence_interval)
    errors = np.atleast_1d(found.standard_error)
    return [
        Interval(float(a), float(b), float(e)) for a, b, e in zip(low, high, errors, strict=True)
    ]
