"""What transfer sets of tables ask of rows and of their columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from soft_students.sklearn_private import StrOptions

#: Constraint of a parameter that names discrete columns.
DISCRETE: list[Any] = ["array-like", StrOptions({"auto"}), None]


def check_rows(X: np.ndarray, owner: str, *, at_least: int = 1) -> np.ndarray:
    """Return the rows, or refuse what a transfer set of tables cannot start from.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        NaN is a missing value.
    owner : str
        Class that needs them, for messages.
    at_least : int, default=1
        How many rows it needs.

    Returns
    -------
    ndarray of shape (n, n_features)

    Raises
    ------
    ValueError
        If `X` has another shape, too few rows, infinite values or no numbers.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "iuf":
        raise ValueError(
            f"{owner} needs numbers in the shape (rows, features). Got {X.dtype} in the shape "
            f"{X.shape}."
        )
    if len(X) < at_least:
        raise ValueError(
            f"{owner} makes a row from at least {at_least} rows. Got {len(X)} instead; set "
            "transfer=None."
        )
    if X.dtype.kind == "f" and np.isinf(X).any():
        columns = np.flatnonzero(np.isinf(X).any(axis=0)).tolist()
        raise ValueError(f"{owner} needs finite values. Columns {columns[:10]} hold infinite ones.")
    return X


def column_mask(columns: ArrayLike | None, n_features: int, name: str, owner: str) -> np.ndarray:
    """Return which columns a parameter names.

    Parameters
    ----------
    columns : array-like of int, array-like of bool of shape (n_features,), or None
        Indices, or one flag a column. None names no column.
    n_features : int
    name, owner : str
        The parameter and its class, for messages.

    Returns
    -------
    ndarray of bool, shape (n_features,)

    Raises
    ------
    ValueError
        If there is no such column.
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
    """Return in which columns only values that occur may be put.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Columns of an integer dtype are always discrete.
    discrete : "auto", array-like of int or of bool, or None
        "auto" takes the columns that hold nothing but whole numbers.
    categorical : ndarray of bool, shape (n_features,), or None
        Columns that are discrete besides.
    owner : str
        Class of the parameter, for messages.

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
