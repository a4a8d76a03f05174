"""Splits rows into two parts, stratified by class where possible."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length


def validation_split(
    X: np.ndarray,
    y: np.ndarray,
    *,
    fraction: float = 0.1,
    random_state: int | RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split training data into a rest and a validation part.

    Pass training data only: test data must not influence any choice. The split is stratified if
    `y` holds labels and each class has enough rows; otherwise (values, soft targets, rare classes)
    it is random.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Training inputs.
    y : ndarray of shape (n,) or (n, n_outputs)
        Labels, values or soft targets of `X`.
    fraction : float, default=0.1
        Fraction of the rows for validation, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Seed of the split.

    Returns
    -------
    X_rest, X_validation, y_rest, y_validation : ndarray
        In the order of :func:`sklearn.model_selection.train_test_split`.

    Examples
    --------
    >>> from soft_students.datasets import load_dataset, validation_split
    >>> digits = load_dataset("digits")
    >>> X, X_val, y, y_val = validation_split(digits.X_train, digits.y_train, random_state=0)
    >>> X.shape, X_val.shape
    ((1212, 64), (135, 64))
    """
    check_consistent_length(X, y)
    n_validation = part_size(len(X), fraction, "'fraction' parameter of validation_split")
    X_rest, X_validation, y_rest, y_validation = train_test_split(
        X,
        y,
        test_size=n_validation,
        random_state=random_state,
        stratify=stratify_on(y, n_validation),
    )
    return X_rest, X_validation, y_rest, y_validation


def part_size(n_samples: int, fraction: float, owner: str) -> int:
    """Return the number of rows in a fraction of them; both parts get at least one row."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
        raise ValueError(f"The {owner} must be a float in the range (0, 1). Got {fraction!r}.")
    if n_samples < 2:
        raise ValueError(f"At least 2 rows are needed to split them. Got {n_samples}.")
    return min(max(1, round(fraction * n_samples)), n_samples - 1)


def stratify_on(y: np.ndarray, n_part: int) -> np.ndarray | None:
    """Return `y` if a split can be stratified by it, else None."""
    if np.ndim(y) != 1:
        return None
    counts = np.unique(y, return_counts=True)[1]
    # Both parts need room for every class, and a class of one row cannot be in both.
    possible = counts.min() >= 2 and len(counts) <= min(n_part, len(y) - n_part)
    return y if possible else None
