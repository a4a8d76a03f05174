"""Fitted trees of scikit-learn as plain arrays, and back, for bundles."""

from __future__ import annotations

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from soft_students.sklearn_private import Tree

_LEAF = -1


def tree_arrays(estimator: DecisionTreeRegressor) -> dict[str, np.ndarray]:
    """Return the nodes of a fitted tree, one array a field, and their values.

    Parameters
    ----------
    estimator : DecisionTreeRegressor

    Returns
    -------
    dict of str to ndarray
        The fields of a node, and ``values`` of shape (n_nodes, n_outputs).
    """
    state = estimator.tree_.__getstate__()
    nodes = state["nodes"]
    arrays = {name: np.ascontiguousarray(nodes[name]) for name in nodes.dtype.names}
    # minus infinity and NaN mean "no threshold", which bundles do not keep
    arrays["threshold"] = np.nan_to_num(arrays["threshold"], nan=0, posinf=0, neginf=0)
    return arrays | {"values": np.ascontiguousarray(state["values"][:, :, 0])}


def restore_tree(
    arrays: dict[str, np.ndarray], n_features: int, n_outputs: int
) -> DecisionTreeRegressor:
    """Return the tree that `tree_arrays` was given.

    The compiled code follows children and reads features unchecked, so all of them are checked
    here: anybody may have made the arrays.

    Parameters
    ----------
    arrays : dict of str to ndarray
    n_features, n_outputs : int

    Returns
    -------
    DecisionTreeRegressor

    Raises
    ------
    ValueError
        If arrays are missing, of other types or shapes, or do not make a tree.
    """
    model = Tree(1, np.array([1], dtype=np.intp), 1)
    dtype = _node_dtype(model)
    values = arrays.get("values")
    if values is None or values.dtype != np.float64 or values.shape[1:] != (n_outputs,):
        raise ValueError(f"the values of a tree must be float64 of shape (n, {n_outputs})")
    n = len(values)
    nodes = np.zeros(n, dtype=dtype)
    for name in dtype.names or ():
        array = arrays.get(name)
        if array is None or array.shape != (n,) or array.dtype != dtype[name]:
            raise ValueError(f"the array {name!r} of a tree must hold {n} of {dtype[name]}")
        nodes[name] = array
    left, right, feature = nodes["left_child"], nodes["right_child"], nodes["feature"]
    inner = left != _LEAF
    children = np.concatenate([left[inner], right[inner]])
    here = np.tile(np.flatnonzero(inner), 2)
    if (
        n == 0
        or not (right[~inner] == _LEAF).all()
        or not ((children > here) & (children < n)).all()
        or len(np.unique(children)) != n - 1
        or len(children) != n - 1
    ):
        raise ValueError("the children of a tree's nodes do not make a tree")
    if not ((feature[inner] >= 0) & (feature[inner] < n_features)).all():
        raise ValueError(f"a tree asks for features beyond the {n_features} there are")
    depth = np.zeros(n, dtype=int)
    for node in np.flatnonzero(inner):
        depth[[left[node], right[node]]] = depth[node] + 1
    tree = Tree(n_features, np.ones(n_outputs, dtype=np.intp), n_outputs)
    tree.__setstate__(
        {
            "max_depth": int(depth.max()),
            "node_count": n,
            "nodes": nodes,
            "values": np.ascontiguousarray(values[:, :, None]),
        }
    )
    estimator = DecisionTreeRegressor()
    estimator.n_features_in_, estimator.n_outputs_ = n_features, n_outputs
    estimator.tree_ = tree
    return estimator


def _node_dtype(tree: Tree) -> np.dtype:
    return tree.__getstate__()["nodes"].dtype
