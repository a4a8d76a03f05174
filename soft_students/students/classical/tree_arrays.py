"""Conversion of scikit-learn's fitted trees to plain arrays and back, for bundles."""

from __future__ import annotations

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from soft_students.sklearn_private import Tree

_LEAF = -1

#: A threshold that no value exceeds: only missing values go right.
LARGEST = float(np.finfo(np.float64).max)


def tree_arrays(estimator: DecisionTreeRegressor) -> dict[str, np.ndarray]:
    """Return the nodes of a fitted tree, one array per field, and their values.

    Parameters
    ----------
    estimator : DecisionTreeRegressor

    Returns
    -------
    dict of str to ndarray
        Fields of the nodes, and ``values`` of shape (n_nodes, n_outputs).
    """
    state = estimator.tree_.__getstate__()
    nodes = state["nodes"]
    arrays = {name: np.ascontiguousarray(nodes[name]) for name in nodes.dtype.names}
    # Minus infinity and NaN mean "no threshold", which bundles do not keep; infinity parts missing
    # values from all others, as the largest number does.
    arrays["threshold"] = np.nan_to_num(arrays["threshold"], nan=0, posinf=LARGEST, neginf=0)
    return arrays | {"values": np.ascontiguousarray(state["values"][:, :, 0])}


def forest_arrays(trees: list[DecisionTreeRegressor]) -> dict[str, np.ndarray]:
    """Return the concatenated nodes of all trees, and the ``tree_sizes``.

    Parameters
    ----------
    trees : list of DecisionTreeRegressor

    Returns
    -------
    dict of str to ndarray
        See `tree_arrays`; also ``tree_sizes`` of shape (n_trees,), the number of nodes per tree.
    """
    each = [tree_arrays(tree) for tree in trees]
    arrays = {name: np.concatenate([tree[name] for tree in each]) for name in each[0]}
    return arrays | {"tree_sizes": np.array([len(tree["values"]) for tree in each])}


def split_forest(arrays: dict[str, np.ndarray], n_trees: int) -> list[dict[str, np.ndarray]]:
    """Return the arrays of each tree.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Arrays of `forest_arrays`, or of an earlier version with one array per field and tree, such
        as ``values_0``.
    n_trees : int

    Returns
    -------
    list of dict of str to ndarray
        Arguments of `restore_tree`.

    Raises
    ------
    ValueError
        If the sizes do not add up to the nodes.
    """
    sizes = arrays.get("tree_sizes")
    if n_trees > (len(arrays) if sizes is None else sizes.size):
        raise ValueError(f"the arrays of {n_trees} trees are missing")
    trees: list[dict[str, np.ndarray]] = [{} for _ in range(n_trees)]
    if sizes is None:
        for name, array in arrays.items():
            field, _, number = name.rpartition("_")
            if number.isdecimal() and int(number) < n_trees:
                trees[int(number)][field] = array
        return trees
    if sizes.dtype != np.int64 or sizes.shape != (n_trees,) or sizes.min(initial=1) < 1:
        raise ValueError(f"tree_sizes must hold {n_trees} positive int64")
    ends = np.cumsum(sizes.astype(object))
    for name, array in arrays.items():
        if name == "tree_sizes":
            continue
        if len(array) != ends[-1]:
            raise ValueError(f"the array {name!r} must hold the {ends[-1]} nodes of the trees")
        for tree, part in zip(trees, np.split(array, ends[:-1].astype(np.intp)), strict=True):
            tree[name] = part
    return trees


def restore_tree(
    arrays: dict[str, np.ndarray], n_features: int, n_outputs: int
) -> DecisionTreeRegressor:
    """Check untrusted arrays of `tree_arrays` and restore the tree.

    The compiled code does not check the indices of children and features, so they are checked here.

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
        raise ValueError(f"a tree uses features beyond the {n_features} of the student")
    level, depth = np.flatnonzero(inner[:1]), 0
    while level.size:
        depth += 1
        below = np.concatenate([left[level], right[level]])
        level = below[inner[below]]
    tree = Tree(n_features, np.ones(n_outputs, dtype=np.intp), n_outputs)
    tree.__setstate__(
        {
            "max_depth": depth,
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
