"""Holds the path of one row through a soft tree, for text and picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soft_students.explain.tree_view import TreeView


@dataclass(frozen=True, eq=False)
class FollowedPath:
    r"""The path of one row through a soft tree, and contributions of the features.

    The activation of gate i is :math:`a_i = \sum_j c_{ij} + b_i`, and the row goes right with
    probability :math:`\sigma(a_i)`.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
    nodes : ndarray of int, shape (depth + 1,)
        Node numbers from the root to the leaf.
    activations : ndarray of shape (depth,)
    went_right : ndarray of bool, shape (depth,)
    probabilities : ndarray of shape (depth,)
        Probability of the branch taken at each gate.
    path_probabilities : ndarray of shape (depth + 1,)
        Probability of reaching each node: the product of the branch probabilities above it.
    weights : ndarray of shape (depth, n_features)
        β w of each gate.
    contributions : ndarray of shape (depth, n_features)
        β w (x - offset), the amount that each feature adds to the activation; positive pushes
        right.
    biases : ndarray of shape (depth,)
        β b of each gate.
    leaf_output : ndarray of shape (n_outputs,)
        Class probabilities of the leaf, at temperature one, or its values.
    mean_output : ndarray of shape (n_outputs,)
        Output of the whole tree: the leaves weighted by path probability.
    prediction : label, float or list of float
        The student's prediction, by its `prediction` parameter.
    way : {"greatest_path", "greedy"}
        Rule that chose the leaf.
    classes : ndarray of shape (n_outputs,) or None
        None for regression.
    feature_names : list of str
    output_contributions : ndarray of shape (n_outputs, n_features)
        Amount that each feature adds, over all gates, to the mean of the leaves as trained (class
        probabilities at the temperature of training): see
        :func:`soft_students.explain.gate_effects.gate_effects`.
    base_output : ndarray of shape (n_outputs,)
        That mean for the mean training row, or for a row of zeros if the student does not
        standardise.
    view : TreeView
        The tree, for the picture.
    """

    row: np.ndarray
    nodes: np.ndarray
    activations: np.ndarray
    went_right: np.ndarray
    probabilities: np.ndarray
    path_probabilities: np.ndarray
    weights: np.ndarray
    contributions: np.ndarray
    biases: np.ndarray
    leaf_output: np.ndarray
    mean_output: np.ndarray
    prediction: Any
    way: str
    classes: np.ndarray | None
    feature_names: list[str]
    output_contributions: np.ndarray
    base_output: np.ndarray
    view: TreeView = field(repr=False)

    @property
    def leaf(self) -> int:
        """Node number of the leaf."""
        return int(self.nodes[-1])
