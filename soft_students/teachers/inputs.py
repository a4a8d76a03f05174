"""Checks of a teacher's inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

# Held-out rows of common tables exceed the range of the training rows by up to a fifth of its
# width, standardised rows by a third and more.
_MARGIN = 0.25
# Rows that span at most this share of the known range are on another scale: standardised rows of a
# table with one large feature never reach the margin.
_NARROW = 0.1


class InputRangeWarning(UserWarning):
    """A teacher's inputs are far outside the range of its training data."""


def check_n_features(X: Any, n_features: int | None, name: str) -> None:
    """Raise ValueError if the rows have another number of features than the teacher takes.

    Parameters
    ----------
    X : array-like of shape (n, ...)
    n_features : int or None
        Number of features; None accepts any.
    name : str
        Name of the teacher, for the message.
    """
    shape = np.shape(X)
    if n_features is None or len(shape) < 2 or math.prod(shape[1:]) == n_features:
        return
    got = f"{shape[1]} features" if len(shape) == 2 else f"inputs of shape {shape[1:]}"
    raise ValueError(f"X has {got}, but the teacher {name!r} was trained on {n_features} features.")


def check_columns(X: Any, columns: list[str] | None, name: str) -> None:
    """Refuse a table whose columns are not those of the teacher, in the same order.

    Parameters
    ----------
    X : array-like or DataFrame
        Columns without names, or with numbers for names, are taken as they are.
    columns : list of str or None
        Names that the teacher was trained on; None accepts any.
    name : str
        The teacher's, for the message.
    """
    if columns is None or not hasattr(X, "columns"):
        return
    given = list(X.columns)
    if given == columns or not all(isinstance(each, str) for each in given):
        return
    raise ValueError(
        f"The feature names of X must be those that the teacher {name!r} was trained on, in the "
        f"same order: {columns[:10]}. Got {given[:10]}. Select the columns of the table by name."
    )


def range_complaint(X: Any, known: tuple[float, float] | None, name: str) -> str | None:
    """Return a warning if `X` is far outside the teacher's training range, or else None.

    Parameters
    ----------
    X : array-like
        Sparse or non-numeric rows are not checked.
    known : tuple of float or None
        Smallest and largest training value of the teacher.
    name : str
        Name of the teacher, for the message.
    """
    if known is None or issparse(X):
        return None
    values = np.asarray(X)
    if values.dtype.kind not in "fiub" or not values.size:
        return None
    low, high = known
    # fmin and fmax ignore NaN: some models take missing values
    seen_low, seen_high = float(np.fmin.reduce(values, None)), float(np.fmax.reduce(values, None))
    margin = _MARGIN * (high - low)
    far = seen_low < low - margin or seen_high > high + margin
    outside = seen_low < low or seen_high > high
    if not far and not (outside and seen_high - seen_low < _NARROW * (high - low)):
        return None
    return (
        f"The teacher {name!r} was trained on inputs in [{low:g}, {high:g}], but got inputs in "
        f"[{seen_low:g}, {seen_high:g}]: its outputs may be meaningless. A Pipeline passes "
        "transformed rows to its last step; DistilledClassifier(pipeline, teacher) passes the "
        "teacher the original rows."
    )


def dense_rows(X: Any, input_shape: tuple[int, ...] | None, name: str) -> np.ndarray:
    """Return `X` as a numeric array of shape ``(n, *input_shape)``.

    Parameters
    ----------
    X : array-like of shape (n, n_features) or ``(n, *input_shape)``
    input_shape : tuple of int or None
        Shape of one input; None keeps the shape of the rows.
    name : str
        Name of the teacher, for the message.
    """
    rows = check_array(
        X, input_name="X", allow_nd=True, ensure_all_finite=False, ensure_min_samples=0
    )
    if input_shape is None:
        return rows
    shape = rows.shape[1:]
    # (28, 28) may become (1, 28, 28), but channels-last images must not be reshaped silently
    if len(shape) > 1 and [s for s in shape if s != 1] != [s for s in input_shape if s != 1]:
        raise ValueError(
            f"The teacher {name!r} takes inputs of shape {input_shape}. Got {shape} instead."
        )
    return rows.reshape(len(rows), *input_shape)
