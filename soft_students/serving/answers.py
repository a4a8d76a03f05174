"""Predictions and explanations of a student, as plain values for the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from soft_students.explain import explain
from soft_students.explain.prediction import is_explained
from soft_students.students.classical.base import ClassicalStudentClassifier
from soft_students.students.distilled import DistilledClassifier, DistilledRegressor
from soft_students.students.soft_tree import SoftDecisionTreeClassifier
from soft_students.students.soft_tree.base import BaseSoftDecisionTree


class Answers:
    """A fitted student, wrapped for the service: maps arrays of rows to plain values.

    Parameters
    ----------
    student : estimator
        Fitted on numeric features.

    Attributes
    ----------
    n_features : int
    feature_names : list of str or None
        None if it was not fitted on a table.
    classes : list or None
        None for regression.
    dtype : dtype
        Type of the rows passed to the student: float32 for soft trees in float32, else float64.
    takes_missing : bool
        Whether NaN is accepted as a missing value.
    explains : bool
        Whether :func:`soft_students.explain.explain` supports the student.

    Raises
    ------
    TypeError, ValueError
        If the student cannot be served; the message gives the reason.
    """

    def __init__(self, student: BaseEstimator) -> None:
        name = type(student).__name__
        if not hasattr(student, "predict"):
            raise TypeError(f"The service needs an estimator with predict. Got a {name} instead.")
        check_is_fitted(student)
        n_features = getattr(student, "n_features_in_", None)
        if n_features is None:
            raise ValueError(
                f"This {name} has no n_features_in_, which the service needs to check requests. "
                "Serve a student of soft_students."
            )
        if getattr(student, "is_categorical_", None) is not None:
            raise ValueError(
                f"This {name} was fitted on categorical columns, but the service accepts only "
                "numbers. Fit it on encoded columns."
            )
        self.student: Any = student
        self.n_features = int(n_features)
        names = getattr(student, "feature_names_in_", None)
        self.feature_names = None if names is None else [str(column) for column in names]
        proba = hasattr(student, "predict_proba") and hasattr(student, "classes_")
        self.classes = student.classes_.tolist() if proba else None
        # Their predict is the most probable class: predict_proba is enough.
        self._argmax = isinstance(student, (SoftDecisionTreeClassifier, ClassicalStudentClassifier))
        self.takes_missing = bool(get_tags(student).input_tags.allow_nan)
        self.dtype = np.dtype(np.float64)
        if isinstance(student, BaseSoftDecisionTree):
            self.dtype = student.gate_weights_.dtype
        self.explains = _is_explained(student)
        if self.feature_names is not None:
            self._frame(np.zeros((1, self.n_features)))  # fails now if pandas is missing

    def predict(self, rows: np.ndarray) -> Sequence[tuple[Any, list[float] | None]]:
        """Return the prediction of each row and its class probabilities (None for regression)."""
        X = self._frame(rows)
        if self.classes is None:
            return [(value, None) for value in self.student.predict(X).tolist()]
        probabilities = self.student.predict_proba(X)
        if self._argmax:
            predictions = self.student.classes_[probabilities.argmax(axis=1)]
        else:
            predictions = self.student.predict(X)
        return list(zip(predictions.tolist(), probabilities.tolist(), strict=True))

    def explain(self, rows: np.ndarray) -> Sequence[dict[str, Any]]:
        """Return the explanation of each row's prediction, as a dict."""
        X = self._frame(rows)
        return [
            explain(self.student, X[i] if X is rows else X.iloc[i]).to_dict()
            for i in range(len(rows))
        ]

    def _frame(self, rows: np.ndarray) -> Any:
        """Return rows in the form used in training: an array or a DataFrame."""
        if self.feature_names is None:
            return rows
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "A student fitted on a table needs pandas. Install it with: "
                "pip install 'soft-students[tables]'"
            ) from error
        return pd.DataFrame(rows, columns=self.feature_names)


def _is_explained(student: Any) -> bool:
    while isinstance(student, Pipeline | DistilledClassifier | DistilledRegressor):
        student = student[-1] if isinstance(student, Pipeline) else student.student_
    return is_explained(type(student))
