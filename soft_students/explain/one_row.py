"""Checks and converts the row to explain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from soft_students.explain.tree_view import image_shape_of, names_of


def one_row(x: Any, n_features: int) -> Any:
    """Return `x` as a two-dimensional table with one row.

    Parameters
    ----------
    x : array-like of shape (n_features,) or (1, n_features), Series, or DataFrame of one row
    n_features : int

    Returns
    -------
    ndarray of shape (1, n_features) or DataFrame

    Raises
    ------
    ValueError
        If `x` has another shape.
    """
    if hasattr(x, "to_frame") and np.ndim(x) == 1:
        x = x.to_frame().T  # a Series: one row of a DataFrame
    if not hasattr(x, "columns"):
        x = np.asarray(x)
    if np.shape(x) not in ((n_features,), (1, n_features)):
        raise ValueError(
            f"x must be one row of {n_features} features. Got an array of shape {np.shape(x)}."
        )
    return x if np.ndim(x) == 2 else x[None]


def read_row(
    student: Any,
    x: Any,
    image_shape: tuple[int, ...] | None,
    feature_names: Iterable[str] | None,
) -> tuple[np.ndarray, list[str]]:
    """Return one row as converted for a classical student's prediction, and the feature names.

    Parameters
    ----------
    student : ClassicalStudent
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    rows : ndarray of shape (1, n_features)
        Codes instead of categories.
    names : list of str

    Raises
    ------
    sklearn.exceptions.NotFittedError
    ValueError
        If the arguments do not match the student's features.
    """
    check_is_fitted(student)
    shape = image_shape_of(student, image_shape, feature_names is not None)
    names = names_of(student, shape, feature_names)
    return student._rows(one_row(x, student.n_features_in_), reset=False), names


def shown_row(student: Any, rows: np.ndarray) -> np.ndarray:
    """Return the row with its categories by name.

    Parameters
    ----------
    student : ClassicalStudent
    rows : ndarray of shape (1, n_features)
        From `read_row`.

    Returns
    -------
    ndarray of shape (n_features,)
        Dtype float64, or object if some features are categories; missing values are NaN.
    """
    row = rows[0].astype(np.float64)
    if student.is_categorical_ is None:
        return row
    shown = row.astype(object)
    for j in np.flatnonzero(student.is_categorical_ & ~np.isnan(row)):
        shown[j] = student._columns.categories[j].tolist()[int(row[j])]
    return shown
