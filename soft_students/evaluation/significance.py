"""McNemar's test of whether two students differ by more than chance on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, chi2

_FEW = 25  # discordant rows, below which the chi-square distribution is too coarse


@dataclass(frozen=True)
class McNemarResult:
    """Result of McNemar's test of two models.

    Parameters
    ----------
    pvalue : float
        Two-sided probability of at least this difference if both models are equally accurate.
    statistic : float
        The smaller of `only_first` and `only_second` for the exact test, else the chi-square.
    only_first, only_second : int
        Rows that only the first, or only the second model predicts correctly.
    method : str
        ``"exact"``, the binomial distribution, or ``"chi-square"`` with continuity correction.
    """

    pvalue: float
    statistic: float
    only_first: int
    only_second: int
    method: str


def mcnemar(first: ArrayLike, second: ArrayLike, y: ArrayLike) -> McNemarResult:
    """Test whether two classifiers are equally accurate, by their predictions of the same rows.

    The test is exact (binomial) if fewer than 25 rows are predicted correctly by only one of them;
    otherwise it uses the chi-square distribution with Edwards' correction.

    Parameters
    ----------
    first, second : array-like of shape (n_samples,)
        Predicted labels.
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    McNemarResult

    Raises
    ------
    ValueError
        If the arrays differ in shape or are empty.

    References
    ----------
    McNemar (1947), "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12. Edwards (1948), "Note on the correction for continuity",
    Psychometrika 13. Dietterich (1998), "Approximate statistical tests for comparing supervised
    classification learning algorithms", Neural Computation 10, section 3.1.

    Examples
    --------
    >>> from soft_students.evaluation import mcnemar
    >>> y = [0] * 10
    >>> mcnemar(y, [1] * 6 + [0] * 4, y).pvalue  # 2 / 2**6
    0.03125
    """
    first, second, y = np.asarray(first), np.asarray(second), np.asarray(y)
    if y.ndim != 1 or not len(y) or first.shape != y.shape or second.shape != y.shape:
        raise ValueError(
            "McNemar's test needs two predictions and the true labels of the same rows, as arrays "
            f"of shape (n_samples,). Got {first.shape}, {second.shape} and {y.shape}."
        )
    right, other = first == y, second == y
    b, c = int((right & ~other).sum()), int((other & ~right).sum())
    if b + c < _FEW:
        pvalue = binomtest(min(b, c), b + c).pvalue if b + c else 1.0
        return McNemarResult(float(pvalue), float(min(b, c)), b, c, "exact")
    statistic = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    return McNemarResult(float(chi2.sf(statistic, df=1)), statistic, b, c, "chi-square")
