"""Compares an exported tree with its student."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, r2_score


class Exported(Protocol):
    """An exported tree that Python can call, such as a :class:`SoftTree`."""

    def predict(self, X: Any) -> Any:
        """Return a prediction for each row."""


def compare_to_student(
    student: Any, exported: Exported, X: ArrayLike, y: ArrayLike | None = None
) -> dict[str, float]:
    """Measure the loss of an export, for example with weights of eight bits.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
    exported : object with `predict`, and `predict_proba` for a classifier
        For example ``to_soft_tree(student, weights="int8")`` or ``SoftTree.load(path)``.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), default=None
        True labels or values.

    Returns
    -------
    dict
        ``max_difference``, the greatest absolute difference of a probability or value; for a
        classifier ``agreement``, the fraction of rows with the same label. With `y` also
        ``accuracy`` and ``accuracy_of_student``; for a regressor ``r2`` and ``r2_of_student``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.export import compare_to_student, to_soft_tree
    >>> X, y = load_iris(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=100, random_state=0).fit(X, y)
    >>> small = to_soft_tree(student, weights="int8")
    >>> loss = compare_to_student(student, small, X, y)
    >>> loss["agreement"] > 0.98
    True
    """
    if is_classifier(student):
        expected, made = student.predict_proba(X), exported.predict_proba(X)  # type: ignore[attr-defined]
        labels, labels_made = student.predict(X), exported.predict(X)
        result = {"agreement": float(np.mean(labels == labels_made))}
        name, score = "accuracy", accuracy_score
    else:
        expected = labels = student.predict(X)
        made = labels_made = exported.predict(X)
        result = {}
        name, score = "r2", r2_score
    result["max_difference"] = float(np.abs(expected - made).max())
    if y is not None:
        result |= {
            name: float(score(y, labels_made)),
            f"{name}_of_student": float(score(y, labels)),
        }
    return result
