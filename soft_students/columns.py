"""Columns that a model was fitted on, and tables in their order."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline


def columns_of(model: Any) -> list[str] | None:
    """Return the names of the columns that a model was fitted on.

    Parameters
    ----------
    model : estimator or Teacher

    Returns
    -------
    list of str or None
        Names in the order of the fit. None if the model was fitted on an array or lacks them.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    # scikit-learn records no names for a pipeline that begins with "passthrough", nor for a search
    # or DistilledClassifier around one.
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step not in (None, "passthrough")]
        return columns_of(steps[0]) if steps else None
    for inner in ("best_estimator_", "student_"):
        if hasattr(model, inner):
            return columns_of(getattr(model, inner))
    return None


def rows_of(model: Any, X: Any) -> Any:
    """Return rows with the columns that a model was fitted on, in their order.

    Parameters
    ----------
    model : estimator or Teacher
    X : array-like or DataFrame of shape (n_samples, n_features)

    Returns
    -------
    array-like or DataFrame
        `X` itself if its columns have no names, or one is missing (the model then raises its own
        error). For an estimator fitted on an array: an array, if all columns are numeric.
    """
    if not hasattr(X, "columns"):
        return X
    columns = columns_of(model)
    if columns is not None:
        fits = set(columns) <= set(X.columns) and columns != list(X.columns)
        return X[columns] if fits else X
    fitted_on_array = isinstance(model, BaseEstimator) and hasattr(model, "n_features_in_")
    numbers = all(dtype.kind in "biuf" for dtype in X.dtypes)
    return X.to_numpy() if fitted_on_array and numbers else X
