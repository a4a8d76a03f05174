"""Calibration: the reliability curve, and the expected and adaptive calibration errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from soft_students.evaluation.task import check_labelled

N_BINS = 15  # as in Guo et al. (2017)


@dataclass(frozen=True)
class ReliabilityCurve:
    """Mean confidence and accuracy in each bin of confidence.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
        Bin b holds confidences in ``(edges[b], edges[b + 1]]``; the first also its lower edge.
    confidence : ndarray of shape (n_bins,)
        Mean confidence of the rows in the bin; NaN if it is empty.
    accuracy : ndarray of shape (n_bins,)
        Fraction of these rows whose likeliest class is the true one; NaN if the bin is empty.
    count : ndarray of int, shape (n_bins,)
        Rows in the bin.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        r"""Calibration error :math:`\sum_b \frac{n_b}{n} |accuracy_b - confidence_b|`."""
        shares = self.count / self.count.sum()
        return float(np.nansum(shares * np.abs(self.accuracy - self.confidence)))


def reliability_curve(
    proba: ArrayLike,
    y: ArrayLike,
    classes: ArrayLike | None = None,
    *,
    n_bins: int = N_BINS,
    strategy: str = "uniform",
) -> ReliabilityCurve:
    """Return the accuracy of the likeliest class in bins of its predicted probability.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
    y : array-like of shape (n_samples,)
        True labels.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.
    n_bins : int, default=15
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width between zero and one, or of equally many rows. Quantile bins may be
        fewer than `n_bins`: rows of equal confidence, common in trees, stay together.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        If `y` is empty, rows of `proba` are not probabilities, a label is not among the classes, or
        an option is invalid.

    References
    ----------
    Niculescu-Mizil and Caruana (2005), "Predicting good probabilities with supervised learning",
    ICML.

    Examples
    --------
    >>> from soft_students.evaluation import reliability_curve
    >>> curve = reliability_curve([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], n_bins=2)
    >>> curve.confidence.round(2), curve.accuracy.round(2), curve.count
    (array([ nan, 0.77]), array([ nan, 0.67]), array([0, 3]))
    """
    proba, columns = check_labelled(proba, y, classes)
    confidence = proba.max(axis=1)
    edges = bin_edges(confidence, n_bins, strategy)
    place = bin_numbers(confidence, edges)
    n_bins = len(edges) - 1
    count = np.bincount(place, minlength=n_bins)
    rows = np.where(count, count, np.nan)
    right = proba.argmax(axis=1) == columns
    return ReliabilityCurve(
        edges,
        np.bincount(place, confidence, minlength=n_bins) / rows,
        np.bincount(place, right, minlength=n_bins) / rows,
        count,
    )


def expected_calibration_error(
    proba: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, *, n_bins: int = N_BINS
) -> float:
    """Return the expected calibration error (ECE), over bins of equal width.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
    y : array-like of shape (n_samples,)
        True labels.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.
    n_bins : int, default=15

    Returns
    -------
    float
        Mean absolute difference of accuracy and confidence, in [0, 1]. Biased upwards on few rows.

    Raises
    ------
    ValueError
        If `reliability_curve` raises.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", ICML,
    arXiv:1706.04599, equation 3.

    Examples
    --------
    >>> from soft_students.evaluation import expected_calibration_error
    >>> round(expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 2)
    0.4
    """
    return reliability_curve(proba, y, classes, n_bins=n_bins).error


def adaptive_calibration_error(
    proba: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, *, n_bins: int = N_BINS
) -> float:
    """Return the adaptive calibration error, over bins of equally many rows.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
    y : array-like of shape (n_samples,)
        True labels.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.
    n_bins : int, default=15

    Returns
    -------
    float
        Mean absolute difference of accuracy and confidence, in [0, 1].

    Raises
    ------
    ValueError
        If `reliability_curve` raises.

    References
    ----------
    Nguyen and O'Connor (2015), "Posterior calibration and exploratory analysis for natural
    language processing models", EMNLP, arXiv:1508.05154, section 3.

    Examples
    --------
    >>> from soft_students.evaluation import adaptive_calibration_error
    >>> proba = [[0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [1.0, 0.0]]
    >>> round(adaptive_calibration_error(proba, [0, 1, 0, 0], n_bins=2), 2)  # (.25 + .05) / 2
    0.15
    """
    return reliability_curve(proba, y, classes, n_bins=n_bins, strategy="quantile").error


def bin_edges(confidence: np.ndarray, n_bins: int, strategy: str) -> np.ndarray:
    """Return the edges of the bins of a `ReliabilityCurve`.

    Parameters
    ----------
    confidence : ndarray of shape (n_samples,)
    n_bins : int
    strategy : {"uniform", "quantile"}

    Returns
    -------
    ndarray of shape (n_bins + 1,), or shorter where confidences are equal
    """
    if n_bins < 1:
        raise ValueError(f"The 'n_bins' of a reliability curve must be at least 1. Got {n_bins!r}.")
    if strategy == "uniform":
        return np.linspace(0, 1, n_bins + 1)
    if strategy != "quantile":
        raise ValueError(
            "The 'strategy' of a reliability curve must be 'uniform' or 'quantile'. "
            f"Got {strategy!r} instead."
        )
    shares = np.arange(1, n_bins + 1) / n_bins
    upper = np.unique(np.quantile(confidence, shares, method="inverted_cdf"))
    # The first bin has no width if many rows share the lowest confidence.
    return np.append(confidence.min(), upper)


def bin_numbers(confidence: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin number of each confidence, shape (n_samples,)."""
    return np.searchsorted(edges[1:-1], confidence, side="left")
