"""Cutting rows into two parts, with the classes in proportion where that is possible."""

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
    """Cut a validation part off training data.

    Give it training data only: what is measured on test data must not have chosen anything.
    Classes keep their proportions if `y` holds labels and each class has enough rows; otherwise
    (values, soft targets, rare classes) the rows are drawn without regard to `y`.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Training inputs.
    y : ndarray of shape (n,) or (n, n_outputs)
        Their labels, values or soft targets.
    fraction : float, default=0.1
        The part of the rows to cut off, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Chooses the rows.

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
    """Return the number of rows that a fraction of them comes to; at least one stays and goes."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
        raise ValueError(f"The {owner} must be a float in the range (0, 1). Got {fraction!r}.")
    if n_samples < 2:
        raise ValueError(f"At least 2 rows are needed to cut off a part of them. Got {n_samples}.")
    return min(max(1, round(fraction * n_samples)), n_samples - 1)


def stratify_on(y: np.ndarray, n_part: int) -> np.ndarray | None:
    """Return `y` if rows can be drawn in proportion to its classes, else None."""
    if np.ndim(y) != 1:
        return None
    counts = np.unique(y, return_counts=True)[1]
    # Both parts need room for every class, and a class of one row cannot be in both.
    possible = counts.min() >= 2 and len(counts) <= min(n_part, len(y) - n_part)
    return y if possible else None
