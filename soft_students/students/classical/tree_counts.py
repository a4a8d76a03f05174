"""What trees consist of and compute: splits, leaves, and the comparisons on the paths of rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from soft_students.students.classical.base import ClassicalStudent


def trees_structure(
    n_trees: int, n_splits: int, n_leaves: int, values_per_leaf: int
) -> dict[str, int]:
    """Return the parts of trees: two numbers for each split, and the values of each leaf.

    Parameters
    ----------
    n_trees, n_splits, n_leaves, values_per_leaf : int

    Returns
    -------
    dict of str to int
    """
    return {
        "trees": n_trees,
        "splits": n_splits,
        "leaves": n_leaves,
        "parameters": 2 * n_splits + n_leaves * values_per_leaf,
    }


def structure_of_trees(model: Any) -> dict[str, int]:
    """Return the parts of a fitted tree or forest of scikit-learn.

    Parameters
    ----------
    model : BaseDecisionTree or BaseForest

    Returns
    -------
    dict of str to int
    """
    trees = _trees(model)
    nodes = sum(int(tree.node_count) for tree in trees)
    leaves = sum(int(tree.n_leaves) for tree in trees)
    return trees_structure(len(trees), nodes - leaves, leaves, _values_per_leaf(trees))


def operations_of_trees(model: Any, rows: np.ndarray) -> float:
    """Return the comparisons on the paths of rows, and the sums over the trees of a forest.

    Parameters
    ----------
    model : BaseDecisionTree or BaseForest
    rows : ndarray of shape (n_samples, n_features)

    Returns
    -------
    float
        The mean over the rows.
    """
    trees = _trees(model)
    as_split = rows.astype(np.float32)  # in which scikit-learn compares
    # the leaf at the end of a path compares nothing
    comparisons = sum(tree.decision_path(as_split).nnz / len(rows) - 1 for tree in trees)
    sums = len(trees) * _values_per_leaf(trees) if hasattr(model, "estimators_") else 0
    return comparisons + sums


def _trees(model: Any) -> list[Any]:
    return [tree.tree_ for tree in getattr(model, "estimators_", [model])]


def _values_per_leaf(trees: list[Any]) -> int:
    return int(np.prod(trees[0].value.shape[1:]))


class BoostedTrees(ClassicalStudent):
    """Counts boosted trees; subclasses define `_leaf_depths` and `_reached_leaves`."""

    @abstractmethod
    def _leaf_depths(self) -> list[dict[int, int]]:
        """Return for each tree used by predictions the depth of each leaf, by its number."""

    @abstractmethod
    def _reached_leaves(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return for each tree the number of the leaf that each row reaches."""

    def _values_per_leaf(self) -> int:
        """Return the number of outputs of a leaf."""
        return 1

    def _structure(self) -> dict[str, int]:
        depths = self._leaf_depths()
        n_trees, n_leaves = len(depths), sum(map(len, depths))
        # a binary tree has one split less than leaves
        parts = trees_structure(n_trees, n_leaves - n_trees, n_leaves, self._values_per_leaf())
        return {**parts, "parameters": parts["parameters"] + self._calibration_size}

    def _operations(self, X: Any) -> float:
        depths, reached = self._leaf_depths(), self._reached_leaves(self._rows(X, reset=False))
        comparisons = sum(
            float(np.mean([depth[leaf] for leaf in leaves.tolist()]))
            for depth, leaves in zip(depths, reached, strict=True)
        )
        return comparisons + len(depths) * self._values_per_leaf()


def nested_depths(tree: dict[str, Any], children: tuple[str, ...], number: str) -> dict[int, int]:
    """Return the depth of each leaf of a tree of nested dictionaries.

    Parameters
    ----------
    tree : dict
        The root.
    children : tuple of str
        The keys of a node that hold its children, alone or in a list.
    number : str
        The key of a leaf's number.

    Returns
    -------
    dict of int to int
    """
    depths: dict[int, int] = {}
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        below = [node[key] for key in children if key in node]
        if not below:
            depths[node.get(number, 0)] = depth  # LightGBM does not number a leaf that is alone
        for child in below:
            stack += [(each, depth + 1) for each in (child if isinstance(child, list) else [child])]
    return depths
