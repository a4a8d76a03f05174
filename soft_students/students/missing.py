"""Missing values: which students take them is part of the message of those that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import validate_data

_TAKERS = (
    "XGBoost",
    "LightGBM",
    "HistGradientBoosting",
    "RandomForest",
    "ExtraTrees",
    "DecisionTree",
)


def validate_rows(student: Any, X: Any, **settings: Any) -> np.ndarray:
    """Return rows checked by scikit-learn's `validate_data`.

    Parameters
    ----------
    student : estimator
    X : array-like of shape (n_samples, n_features)
    **settings
        Those of `validate_data`.

    Raises
    ------
    ValueError
        As by `validate_data`; of missing values, the message names students that take them.
    """
    try:
        return validate_data(student, X, **settings)
    except ValueError as error:
        if not str(error).startswith("Input X contains NaN"):
            raise
        kind = "StudentRegressor" if is_regressor(student) else "StudentClassifier"
        raise ValueError(
            f"Input X contains NaN, a missing value, which {type(student).__name__} does not take. "
            "Complete the rows, by a SimpleImputer in a Pipeline say, or use a student that takes "
            f"them: {', '.join(f'{name}{kind}' for name in _TAKERS)}."
        ) from error
