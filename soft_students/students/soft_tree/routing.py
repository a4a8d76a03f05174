"""Routing of rows through a fitted soft tree, in numpy, so that deployment needs no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BATCH = 1024  # rows routed at a time: bounds memory at about 2 * 1024 * n_nodes values


def row_batches(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield batches of `X`, to bound the memory of path probabilities."""
    for start in range(0, len(X), _BATCH):
        yield X[start : start + _BATCH]


def gate_activations(
    X: np.ndarray,
    weights: np.ndarray,
    biases: np.ndarray,
    betas: np.ndarray,
    offset: np.ndarray | None,
) -> np.ndarray:
    """Return β (w·(x - offset) + b) of every gate, of shape (n, n_inner).

    The array is in Fortran order: later steps run along the rows of one gate.
    """
    if offset is not None:
        X = X - offset
    activations = (weights.astype(X.dtype, copy=False) @ X.T).T
    activations += biases
    activations *= betas
    return activations


def path_probabilities(activations: np.ndarray) -> np.ndarray:
    """Return the probability that each row reaches each node.

    Parameters
    ----------
    activations : ndarray of shape (n, n_inner)

    Returns
    -------
    ndarray of shape (n, n_inner + n_leaves)
        Node ``i`` has the children ``2i + 1`` (left) and ``2i + 2`` (right). A level sums to one.
    """
    n, n_inner = activations.shape
    # Not 1 - right: that would lose a small left probability to rounding. Clipped to the limit of
    # exp, where the smaller one is near the smallest normal number.
    limit = 87 if activations.dtype == np.float32 else 708
    odds = np.clip(activations.T, -limit, limit)
    np.exp(np.negative(odds, out=odds), out=odds)
    right = 1 / (1 + odds)
    left = np.multiply(odds, right, out=odds)
    paths = np.empty((2 * n_inner + 1, n), dtype=activations.dtype)
    paths[0] = 1
    first, width = 0, 1
    while first < n_inner:
        level = slice(first, first + width)
        children = paths[first + width : first + 3 * width].reshape(width, 2, n)
        np.multiply(paths[level], left[level], out=children[:, 0])
        np.multiply(paths[level], right[level], out=children[:, 1])
        first, width = first + width, 2 * width
    return paths.T


def greedy_leaves(activations: np.ndarray) -> np.ndarray:
    """Return the leaf found by following the likelier child from the root, of shape (n,)."""
    n, n_inner = activations.shape
    rows = np.arange(n)
    nodes = np.zeros(n, dtype=np.intp)
    while nodes[0] < n_inner:
        nodes = 2 * nodes + 1 + (activations[rows, nodes] > 0)
    return nodes


def greatest_path_leaves(paths: np.ndarray) -> np.ndarray:
    """Return the node number of the leaf of greatest path probability, of shape (n,)."""
    n_inner = paths.shape[1] // 2
    return n_inner + paths[:, n_inner:].argmax(axis=1)


def ancestors(leaves: np.ndarray, depth: int) -> np.ndarray:
    """Return the nodes from the root to each leaf, of shape (n, depth + 1)."""
    steps = np.empty((len(leaves), depth + 1), dtype=np.intp)
    steps[:, depth] = leaves
    for level in range(depth, 0, -1):
        steps[:, level - 1] = (steps[:, level] - 1) // 2
    return steps
