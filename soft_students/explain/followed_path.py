"""What happens to one row on its way through a soft tree: the numbers behind text and picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soft_students.explain.tree_view import TreeView


@dataclass(frozen=True, eq=False)
class FollowedPath:
    r"""What happens to one row on its way from the root to a leaf.

    The activation of gate i is :math:`a_i = \sum_j c_{ij} + b_i`, and the row goes right with
    probability :math:`\sigma(a_i)`.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
    nodes : ndarray of int, shape (depth + 1,)
        From the root to the leaf.
    activations : ndarray of shape (depth,)
    went_right : ndarray of bool, shape (depth,)
    probabilities : ndarray of shape (depth,)
        Of the branch taken.
    path_probabilities : ndarray of shape (depth + 1,)
        Of reaching each node: the products of the probabilities before it.
    weights : ndarray of shape (depth, n_features)
        β w of each gate.
    contributions : ndarray of shape (depth, n_features)
        β w (x - offset): what each feature adds to the activation; above zero it pushes right.
    biases : ndarray of shape (depth,)
        β b of each gate.
    leaf_output : ndarray of shape (n_outputs,)
        Class probabilities of the leaf, at temperature one, or its values.
    mean_output : ndarray of shape (n_outputs,)
        Of the whole tree: the leaves weighted by path probability.
    prediction : label, float or list of float
        What the student predicts, by its `prediction` parameter.
    way : {"greatest_path", "greedy"}
        How the leaf was chosen.
    classes : ndarray of shape (n_outputs,) or None
        None for regression.
    feature_names : list of str
    output_contributions : ndarray of shape (n_outputs, n_features)
        What each feature adds to the mean of the leaves as they were trained (for classes: at the
        temperature of training), over all gates: see
        :func:`soft_students.explain.gate_effects.gate_effects`.
    base_output : ndarray of shape (n_outputs,)
        What they are added to: that mean for the mean training row, or for a row of zeros where the
        student does not standardise.
    view : TreeView
        The tree itself, for the picture.
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
        """The node number of the leaf."""
        return int(self.nodes[-1])
