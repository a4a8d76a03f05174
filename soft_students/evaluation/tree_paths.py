"""Depths of the leaves of boosted trees, and the leaves that rows reach, for each library."""

from __future__ import annotations

import json
from functools import singledispatch
from typing import Any

import numpy as np

from soft_students.students.classical.hist import (
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
)
from soft_students.students.lightgbm import (
    LightGBMStudentClassifier,
    LightGBMStudentRegressor,
)
from soft_students.students.xgboost import (
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)

_XGBoost = XGBoostStudentClassifier | XGBoostStudentRegressor
_Hist = HistGradientBoostingStudentClassifier | HistGradientBoostingStudentRegressor


@singledispatch
def leaf_depths(student: Any) -> list[dict[int, int]]:
    """Return the depth of each leaf, by leaf number, for each tree used in predictions.

    Parameters
    ----------
    student : estimator
        A fitted student of boosted trees.

    Returns
    -------
    list of dict of int to int
        Comparisons on the path to the leaf.
    """
    raise TypeError(f"leaf_depths needs a student of boosted trees. Got {type(student).__name__}.")


@singledispatch
def reached_leaves(student: Any, rows: np.ndarray) -> list[np.ndarray]:
    """Return the leaf number that each row reaches, for each tree.

    Parameters
    ----------
    student : estimator
        A fitted student of boosted trees.
    rows : ndarray of shape (n_samples, n_features)
        Rows, in the form passed to the library.

    Returns
    -------
    list of ndarray of int, shape (n_samples,)
    """
    raise TypeError(
        f"reached_leaves needs a student of boosted trees. Got {type(student).__name__}."
    )


def values_per_leaf(student: Any) -> int:
    """Return the number of outputs per leaf: one, except for XGBoost's multi-output trees."""
    if getattr(student, "multi_strategy", None) != "multi_output_tree":
        return 1
    n_classes = len(getattr(student, "classes_", ()))
    return n_classes if n_classes > 2 else getattr(student, "n_outputs_", 1)


@leaf_depths.register
def _(student: _XGBoost) -> list[dict[int, int]]:
    n_used = student.estimator_.get_booster().num_boosted_rounds()
    dumps = student.estimator_.get_booster().get_dump(dump_format="json")
    best = getattr(student.estimator_, "best_iteration", None) if _stops_early(student) else None
    if best is not None:
        dumps = dumps[: len(dumps) * (best + 1) // n_used]
    return [_depths(json.loads(text), ("children",), "nodeid") for text in dumps]


@reached_leaves.register
def _(student: _XGBoost, rows: np.ndarray) -> list[np.ndarray]:
    leaves = student.estimator_.apply(student._table(rows))
    return list(leaves.reshape(len(rows), -1).astype(np.intp).T)


def _stops_early(student: _XGBoost) -> bool:
    return student.early_stopping_rounds is not None


def _boosters(student: Any) -> list[Any]:
    return student.boosters_ if hasattr(student, "boosters_") else [student.booster_]


@leaf_depths.register
def _(student: LightGBMStudentClassifier | LightGBMStudentRegressor) -> list[dict[int, int]]:
    return [
        _depths(tree["tree_structure"], ("left_child", "right_child"), "leaf_index")
        for booster in _boosters(student)
        for tree in booster.dump_model()["tree_info"]
    ]


@reached_leaves.register
def _(
    student: LightGBMStudentClassifier | LightGBMStudentRegressor, rows: np.ndarray
) -> list[np.ndarray]:
    return [
        leaves
        for booster in _boosters(student)
        for leaves in np.asarray(booster.predict(rows, pred_leaf=True)).reshape(len(rows), -1).T
    ]


@leaf_depths.register
def _(student: _Hist) -> list[dict[int, int]]:
    depths = []
    for nodes in _hist_trees(student):
        depth = np.zeros(len(nodes), dtype=np.intp)
        for node in np.flatnonzero(nodes["is_leaf"] == 0):  # parents come before their children
            depth[nodes["left"][node]] = depth[nodes["right"][node]] = depth[node] + 1
        leaves = np.flatnonzero(nodes["is_leaf"])
        depths.append(dict(zip(leaves.tolist(), depth[leaves].tolist(), strict=True)))
    return depths


@reached_leaves.register
def _(student: _Hist, rows: np.ndarray) -> list[np.ndarray]:
    reached = []
    for nodes in _hist_trees(student):
        here = np.zeros(len(rows), dtype=np.intp)
        while True:
            moving = np.flatnonzero(nodes["is_leaf"][here] == 0)
            if not len(moving):
                break
            at = nodes[here[moving]]
            values = rows[moving, at["feature_idx"]]
            missing = np.isnan(values) & (at["missing_go_to_left"] == 1)
            left = missing | (values <= at["num_threshold"])
            here[moving] = np.where(left, at["left"], at["right"])
        reached.append(here)
    return reached


def _hist_trees(student: _Hist) -> list[np.ndarray]:
    return [nodes for output in student.nodes_ for nodes in output]


def _depths(tree: dict[str, Any], children: tuple[str, ...], number: str) -> dict[int, int]:
    """Return the depth of each leaf of a tree of nested dictionaries."""
    depths: dict[int, int] = {}
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        below = [node[key] for key in children if key in node]
        if not below:
            depths[node.get(number, 0)] = depth  # LightGBM does not number a tree's only leaf
        for child in below:
            stack += [(each, depth + 1) for each in (child if isinstance(child, list) else [child])]
    return depths
