"""Checks of rows and columns for transfer sets of tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from soft_students.sklearn_private import StrOptions

#: Constraint of a parameter that names discrete columns.
DISCRETE: list[Any] = ["array-like", StrOptions({"auto"}), None]


def check_rows(X: np.ndarray, owner: str, *, at_least: int = 1) -> np.ndarray:
    """Return the rows as an array after checking shape, dtype, number and finiteness.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        NaN is a missing value.
    owner : str
        Name of the calling class, for messages.
    at_least : int, default=1
        Minimum number of rows.

    Returns
    -------
    ndarray of shape (n, n_features)

    Raises
    ------
    ValueError
        If `X` has another shape or dtype, too few rows or infinite values.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "iuf":
        raise ValueError(
            f"{owner} needs numbers of shape (rows, features). Got {X.dtype} of shape {X.shape}."
        )
    if len(X) < at_least:
        raise ValueError(
            f"{owner} needs at least {at_least} rows. Got {len(X)} instead; set transfer=None."
        )
    if X.dtype.kind == "f" and np.isinf(X).any():
        columns = np.flatnonzero(np.isinf(X).any(axis=0)).tolist()
        raise ValueError(
            f"{owner} needs finite values. Columns {columns[:10]} contain infinite ones."
        )
    return X


def column_mask(columns: ArrayLike | None, n_features: int, name: str, owner: str) -> np.ndarray:
    """Return the mask of the columns that a parameter names.

    Parameters
    ----------
    columns : array-like of int, array-like of bool of shape (n_features,), or None
        Indices or mask; None: no column.
    n_features : int
    name, owner : str
        Names of the parameter and its class, for messages.

    Returns
    -------
    ndarray of bool, shape (n_features,)

    Raises
    ------
    ValueError
        If `columns` is neither, or an index is out of range.
    """
    mask = np.zeros(n_features, dtype=bool)
    named = np.asarray([] if columns is None else columns)
    if named.size == 0 and named.dtype != bool:
        return mask
    flags = named.dtype == bool and named.shape == (n_features,)
    indices = named.dtype.kind in "iu" and named.ndim == 1
    if not flags and not (indices and named.min() >= 0 and named.max() < n_features):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be indices from 0 to {n_features - 1} or a "
            f"boolean mask of {n_features} columns. Got {columns!r:.80} instead."
        )
    mask[named] = True
    return mask


def discrete_mask(
    X: np.ndarray,
    discrete: ArrayLike | str | None,
    categorical: np.ndarray | None,
    owner: str,
) -> np.ndarray:
    """Return the mask of the discrete columns, whose new values must occur in the data.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        With an integer dtype, all columns are discrete.
    discrete : "auto", array-like of int or of bool, or None
        "auto": columns of only whole numbers.
    categorical : ndarray of bool, shape (n_features,), or None
        Further discrete columns.
    owner : str
        Name of the parameter's class, for messages.

    Returns
    -------
    ndarray of bool, shape (n_features,)
    """
    mask = column_mask(categorical, X.shape[1], "categorical", owner)
    if X.dtype.kind != "f":
        mask[:] = True
    elif isinstance(discrete, str):
        mask |= ((np.rint(X) == X) | np.isnan(X)).all(axis=0)
    else:
        mask |= column_mask(discrete, X.shape[1], "discrete", owner)
    return mask
