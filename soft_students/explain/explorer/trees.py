"""Describes a tree for the explorer page: its shape, gates and leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from soft_students.datasets import check_complete
from soft_students.explain.charts import color_limit
from soft_students.explain.explorer.encoding import pack
from soft_students.explain.tree_view import image_shape_of, names_of, readable, view_tree
from soft_students.students.classical.trees import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
)
from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor

SoftTree = SoftDecisionTreeClassifier | SoftDecisionTreeRegressor
HardTree = DecisionTreeStudentClassifier | DecisionTreeStudentRegressor

_NONE = -1


def describe_tree(
    student: Any,
    X: Any,
    rows: np.ndarray | None,
    image_shape: tuple[int, ...] | None,
    feature_names: Iterable[str] | None,
) -> dict[str, Any]:
    """Return the page's description of a fitted tree, as JSON values and packed arrays.

    Parameters
    ----------
    student : SoftTree or HardTree
    X : array-like of shape (n, n_features) or None
    rows : ndarray of shape (n, n_features) or None
        Result of `checked_rows` for `X`, from which shares and deviations are computed.
    image_shape, feature_names
        As for :func:`~soft_students.explain.plot_tree`.

    Returns
    -------
    dict
    """
    check_tree(student)
    if isinstance(student, SoftTree):
        return _soft_tree(student, X, rows, image_shape, feature_names)
    return _hard_tree(student, rows, image_shape, feature_names)


def check_tree(student: Any) -> None:
    """Raise unless `student` is a single fitted tree.

    Raises
    ------
    TypeError
        If `student` is not a single tree.
    sklearn.exceptions.NotFittedError
    """
    if not isinstance(student, SoftTree | HardTree):
        name = type(student).__name__
        hint = "."
        if hasattr(student, "student_"):
            hint = ". Pass its attribute 'student_'."
        elif hasattr(getattr(student, "estimator_", None), "estimators_"):
            hint = ", whose prediction is the mean of many trees."
        raise TypeError(
            "The explorer shows single trees: a fitted SoftDecisionTreeClassifier, "
            "SoftDecisionTreeRegressor, DecisionTreeStudentClassifier or "
            f"DecisionTreeStudentRegressor. Got {name}{hint}"
        )
    check_is_fitted(student)


def checked_rows(student: Any, X: Any) -> np.ndarray:
    """Return rows as converted for the student's prediction."""
    if isinstance(student, SoftTree):
        return student._checked(X)
    rows = student._rows(X, reset=False)
    check_complete(rows, getattr(student, "feature_names_in_", None), "The array X of the page")
    return rows


def _soft_tree(
    student: Any,
    X: Any,
    rows: np.ndarray | None,
    image_shape: tuple[int, ...] | None,
    feature_names: Iterable[str] | None,
) -> dict[str, Any]:
    view = view_tree(student, image_shape=image_shape, feature_names=feature_names)
    n_gates, n_leaves = view.n_gates, view.n_gates + 1
    gates = np.arange(n_gates, dtype=np.int32)
    ends = np.full(n_leaves, _NONE, dtype=np.int32)
    reach = spread = None
    if rows is not None:
        reach = student.node_statistics(X)["reach"]
        # Pixels share a unit, but not the weights of gates trained on standardised features.
        if view.image_shape is None or view.offset is not None:
            spread = rows.std(axis=0, dtype=np.float64)
    shown = view.weights if spread is None else view.weights * spread
    limit, cut = color_limit(shown)
    if view.image_shape is None:
        limit, cut = float(np.abs(shown).max()) or 1.0, False
    return {
        "kind": "soft",
        "classes": view.labels,
        "features": view.feature_names,
        "shape": view.image_shape,
        "prediction": student.prediction,
        "temperature": float(student.temperature_) if view.labels is not None else 1.0,
        "left": pack(np.concatenate([2 * gates + 1, ends])),
        "right": pack(np.concatenate([2 * gates + 2, ends])),
        "weights": pack(student.gate_weights_),
        "biases": pack(student.gate_biases_),
        "betas": pack(student.gate_betas_),
        "offset": None if student.feature_offset_ is None else pack(student.feature_offset_),
        "values": pack(student._leaf_values()),
        "reach": None if reach is None else pack(reach.astype(np.float32)),
        "spread": None if spread is None else pack(spread),
        "limit": limit,
        "cut": bool(cut),
    }


def _hard_tree(
    student: Any,
    rows: np.ndarray | None,
    image_shape: tuple[int, ...] | None,
    feature_names: Iterable[str] | None,
) -> dict[str, Any]:
    tree = student.estimator_.tree_
    shape = image_shape_of(student, image_shape, feature_names is not None)
    classifier = isinstance(student, DecisionTreeStudentClassifier)
    values = tree.value[:, :, 0].astype(np.float64)
    if classifier:
        values = values.clip(0)
        values /= values.sum(axis=1, keepdims=True)
    inner = tree.children_left != _NONE
    if rows is None:  # the shares of the training rows
        reach = tree.weighted_n_node_samples / tree.weighted_n_node_samples[0]
    else:
        visits = student.estimator_.decision_path(rows.astype(np.float32, copy=False))
        reach = np.asarray(visits.mean(axis=0)).ravel()
    return {
        "kind": "hard",
        "classes": [readable(label) for label in student.classes_.tolist()] if classifier else None,
        "features": names_of(student, shape, feature_names),
        "shape": shape,
        "prediction": "leaf",
        "temperature": float(student.temperature_) if classifier else 1.0,
        "left": pack(tree.children_left.astype(np.int32)),
        "right": pack(tree.children_right.astype(np.int32)),
        "feature": pack(np.where(inner, tree.feature, 0).astype(np.int32)),
        "threshold": pack(np.where(inner, tree.threshold, 0.0).astype(np.float64)),
        "values": pack(values),
        "reach": pack(reach.astype(np.float32)),
    }
