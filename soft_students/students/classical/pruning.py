"""Cost-complexity pruning of a fitted tree, chosen on held-out rows."""

from __future__ import annotations

import heapq

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from soft_students.sklearn_private import Tree

_LEAF = -1


def collapse_alphas(tree: Tree) -> np.ndarray:
    """Return the alpha at which minimal cost-complexity pruning turns each node into a leaf.

    Parameters
    ----------
    tree : Tree
        Attribute `tree_` of a fitted scikit-learn tree.

    Returns
    -------
    ndarray of shape (n_nodes,)
        0 at leaves, and never larger at a node than at its parent. At a given alpha, a row's path
        ends in its first node with an alpha that is not larger.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), "Classification and regression trees", section 3.3.
    """
    left, right = tree.children_left, tree.children_right
    inner = np.flatnonzero(left != _LEAF)
    parent = np.full(tree.node_count, -1)
    parent[left[inner]] = parent[right[inner]] = inner
    risk = tree.impurity * tree.weighted_n_node_samples / tree.weighted_n_node_samples[0]
    branch, leaves = risk.copy(), np.ones(tree.node_count)
    for node in inner[::-1]:  # children come after their parents
        branch[node] = branch[left[node]] + branch[right[node]]
        leaves[node] = leaves[left[node]] + leaves[right[node]]
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (risk - branch) / (leaves - 1)
    alphas, gone = np.zeros(tree.node_count), np.zeros(tree.node_count, dtype=bool)
    weakest = [(gain[node], node) for node in inner.tolist()]
    heapq.heapify(weakest)
    alpha = 0.0
    while weakest:
        found, node = heapq.heappop(weakest)
        if gone[node] or found != gain[node]:
            continue
        alpha = max(alpha, found)
        below = [node]
        while below:
            cut = below.pop()
            if left[cut] != _LEAF and not gone[cut]:
                gone[cut], alphas[cut] = True, alpha
                below += [left[cut], right[cut]]
        risk_added, leaves_lost = risk[node] - branch[node], leaves[node] - 1
        above = parent[node]
        while above >= 0:
            branch[above] += risk_added
            leaves[above] -= leaves_lost
            gain[above] = (risk[above] - branch[above]) / (leaves[above] - 1)
            heapq.heappush(weakest, (gain[above], int(above)))
            above = parent[above]
    return alphas


def best_alpha(
    estimator: DecisionTreeRegressor,
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    distributions: bool,
) -> float:
    """Return the alpha at which the pruned tree has the lowest loss on held-out rows.

    All subtrees of the pruning sequence are evaluated at once, without refitting.

    Parameters
    ----------
    estimator : DecisionTreeRegressor
        Tree fitted with ``ccp_alpha=0``.
    X : ndarray of shape (n, n_features)
        Held-out rows.
    targets : ndarray of shape (n, n_outputs)
    weights : ndarray of shape (n,)
    distributions : bool
        Whether the loss is the cross-entropy of distributions, with probabilities clipped at the
        resolution of float32; otherwise the squared error.

    Returns
    -------
    float
        Geometric mean of the ends of the interval of alphas that give the best subtree; ties go to
        the smallest subtree.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), "Classification and regression trees", section
    3.4.3.
    """
    tree = estimator.tree_
    reached = estimator.decision_path(X).T.tocsr()  # (n_nodes, n)
    values = tree.value[:, :, 0]
    if not distributions:  # avoids losing digits to a large mean
        values, targets = values - values[0], targets - values[0]
    sums = reached @ (weights[:, None] * targets)
    if distributions:
        floor = np.finfo(np.float32).eps
        loss = -(sums * np.log(np.maximum(values, floor))).sum(axis=1)
    else:
        squares = reached @ (weights * np.square(targets).sum(axis=1))
        mass = reached @ weights
        loss = squares - 2 * (values * sums).sum(axis=1) + mass * np.square(values).sum(axis=1)
    first = collapse_alphas(tree)
    alphas = np.unique(first)
    # a node ends paths for alphas from its own up to that of its parent
    change = np.zeros(len(alphas) + 1)
    np.add.at(change, np.searchsorted(alphas, first), loss)
    inner = np.flatnonzero(tree.children_left != _LEAF)
    for children in (tree.children_left, tree.children_right):
        np.subtract.at(change, np.searchsorted(alphas, first[inner]), loss[children[inner]])
    losses = np.cumsum(change[:-1])
    tolerance = 1e-9 * np.abs(loss).max()
    best = np.flatnonzero(losses <= losses.min() + tolerance)[-1]
    if best + 1 == len(alphas):
        return float(alphas[best])
    return float(np.sqrt(alphas[best] * alphas[best + 1]))
