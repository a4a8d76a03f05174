"""Selects the columns of a table that a model was trained on."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from soft_students.teachers import EnsembleTeacher, EstimatorTeacher, Teacher


def columns_of(model: BaseEstimator | Teacher) -> list[str] | None:
    """Return the names of the columns that a model was trained on, if recorded.

    Parameters
    ----------
    model : estimator or Teacher

    Returns
    -------
    list of str or None

    Raises
    ------
    ValueError
        If the members of an ensemble were trained on different columns.
    """
    names: Any = None
    if isinstance(model, EnsembleTeacher):
        return _common_columns(model)
    if isinstance(model, EstimatorTeacher):
        names = getattr(model.estimator, "feature_names_in_", None)
    elif not isinstance(model, Teacher):
        names = getattr(model, "feature_names_in_", None)
    elif model.record is not None:
        names = model.record.data.get("feature_names")
    return None if names is None else [str(name) for name in names]


def rows_of(model: BaseEstimator | Teacher, X: Any) -> Any:
    """Return rows with the columns that a model was trained on, in its order.

    Parameters
    ----------
    model : estimator or Teacher
    X : array-like or DataFrame of shape (n_samples, n_features)

    Returns
    -------
    array-like or DataFrame
        `X` unchanged if its columns are unnamed or one is missing (the model then raises). A
        DataFrame of numbers becomes an array for an estimator that was fitted on an array.
    """
    if not hasattr(X, "columns"):
        return X
    columns = columns_of(model)
    if columns is not None:
        return X[columns] if set(columns) <= set(X.columns) else X
    fitted_on_array = not isinstance(model, Teacher) and hasattr(model, "n_features_in_")
    numbers = all(dtype.kind in "biuf" for dtype in X.dtypes)
    return X.to_numpy() if fitted_on_array and numbers else X


def _common_columns(ensemble: EnsembleTeacher) -> list[str] | None:
    """Return the columns of the members that record theirs; they must be the same."""
    known = [columns for columns in map(columns_of, ensemble.members) if columns is not None]
    for columns in known[1:]:
        if columns != known[0]:
            raise ValueError(
                "The teachers of an ensemble must be trained on the same columns, in the same "
                f"order. Got {known[0][:10]} and {columns[:10]}."
            )
    return known[0] if known else None
