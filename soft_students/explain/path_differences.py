"""Contributions in forests and scikit-learn's boosted trees, from the splits on a row's paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from soft_students.explain.contributions import ContributionExplanation, contributions_of
from soft_students.explain.one_row import read_row
from soft_students.students.classical.forests import (
    ExtraTreesStudentClassifier,
    ExtraTreesStudentRegressor,
    RandomForestStudentClassifier,
    RandomForestStudentRegressor,
)
from soft_students.students.classical.hist import (
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
)

_BASELINE = "mean of the targets"


def path_differences(features: np.ndarray, values: np.ndarray, n_features: int) -> np.ndarray:
    r"""Sum the changes of value along a path by the feature of each split.

    With the nodes :math:`n_0, ..., n_m` of a path and the mean target :math:`v(n)` of the training
    rows in a node, feature j gets :math:`\sum_i [f(n_i) = j]\,(v(n_{i+1}) - v(n_i))`. The sum over
    features is exactly :math:`v(n_m) - v(n_0)`.

    Parameters
    ----------
    features : ndarray of int, shape (m,)
        Feature of the split at each inner node.
    values : ndarray of shape (m + 1, n_outputs)
        Value of each node, from the root to the leaf.
    n_features : int

    Returns
    -------
    ndarray of shape (n_outputs, n_features)

    References
    ----------
    Saabas (2014), "Interpreting random forests"; Palczewska et al. (2014), "Interpreting random
    forest classification models using a feature contribution method", arXiv:1312.1121.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.explain.path_differences import path_differences
    >>> path_differences(np.array([1, 0]), np.array([[0.5], [0.75], [1.0]]), 3)
    array([[0.25, 0.25, 0.  ]])
    """
    added = np.zeros((n_features, values.shape[1]))
    np.add.at(added, features, np.diff(values, axis=0))
    return added.T


def explain_forest(
    student: RandomForestStudentClassifier
    | RandomForestStudentRegressor
    | ExtraTreesStudentClassifier
    | ExtraTreesStudentRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> ContributionExplanation:
    """Split the mean over the trees by feature, with :func:`path_differences`.

    For a classifier the contributions are to probabilities at the temperature of training.

    Parameters
    ----------
    student : random forest or extra trees student
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    ContributionExplanation
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    trees = [estimator.tree_ for estimator in student.estimator_.estimators_]
    n_outputs = trees[0].n_outputs
    parts, base = np.zeros((n_outputs, rows.shape[1])), np.zeros(n_outputs)
    as_split = rows.astype(np.float32)  # as scikit-learn compares
    for tree in trees:
        path = np.sort(tree.decision_path(as_split).indices)  # children come after their parents
        values = tree.value[path, :, 0]
        parts += path_differences(tree.feature[path[:-1]], values, rows.shape[1])
        base += values[0]
    return contributions_of(
        student,
        rows,
        names,
        contributions=parts / len(trees),
        base=base / len(trees),
        outputs=student.estimator_.predict(rows).reshape(-1),
        baseline=_BASELINE,
        of_probabilities=True,
    )


def explain_hist(
    student: HistGradientBoostingStudentClassifier | HistGradientBoostingStudentRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> ContributionExplanation:
    """Split logits or values by feature, with :func:`path_differences`.

    Parameters
    ----------
    student : HistGradientBoostingStudentClassifier or HistGradientBoostingStudentRegressor
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    ContributionExplanation
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    row, n_features = rows[0].astype(np.float64), rows.shape[1]
    parts = np.zeros((len(student.nodes_), n_features))
    base = student.baseline_.copy()
    for output, trees in enumerate(student.nodes_):
        for nodes in trees:
            path = _hist_path(nodes, row)
            values = nodes["value"][path]
            values[:-1] *= student.learning_rate  # scikit-learn shrinks only the leaves
            parts[output] += path_differences(
                nodes["feature_idx"][path[:-1]], values[:, None], n_features
            )[0]
            base[output] += values[0]
    outputs = student._values(rows)[0]
    if isinstance(student, HistGradientBoostingStudentClassifier):
        factor, shift = student.temperature_ * student.scale_, student.temperature_ * student.bias_
        if len(student.classes_) == 2:  # the output is the second logit, its negative the first
            factor, shift = 2 * factor, shift[1:] - shift[:1]
        parts, base, outputs = factor * parts, factor * base + shift, factor * outputs + shift
    return contributions_of(
        student,
        rows,
        names,
        contributions=parts,
        base=base,
        outputs=outputs,
        baseline=_BASELINE,
    )


def _hist_path(nodes: np.ndarray, row: np.ndarray) -> list[int]:
    """Return the nodes on the path of a row through one tree."""
    path = [0]
    while not nodes["is_leaf"][path[-1]]:
        node = nodes[path[-1]]
        value = row[node["feature_idx"]]
        left = node["missing_go_to_left"] if np.isnan(value) else value <= node["num_threshold"]
        path.append(int(node["left"] if left else node["right"]))
    return path
