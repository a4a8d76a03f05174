"""A fitted tree as text: indented, or as one rule per leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.tree._tree import Tree

_LEAF = -1


def tree_text(
    tree: Tree, names: list[str], describe: Callable[[int], str], *, max_depth: int, decimals: int
) -> str:
    """Return the tree as indented text, like :func:`sklearn.tree.export_text`.

    Parameters
    ----------
    tree : Tree
    names : list of str
        Names of the features.
    describe : callable
        Maps the number of a node to its description at the end of a branch.
    max_depth : int
        Number of levels to show; deeper branches end in the description and their number of leaves.
    decimals : int
        Decimals of thresholds.

    Returns
    -------
    str
    """
    lines = []
    waiting = [(0, 0, "")]
    while waiting:
        node, depth, condition = waiting.pop()
        if condition:
            lines.append("|   " * (depth - 1) + f"|--- {condition}")
        left, right = tree.children_left[node], tree.children_right[node]
        if left == _LEAF or depth >= max_depth:
            hidden = "" if left == _LEAF else f" ({_count_leaves(tree, node)} leaves below)"
            lines.append("|   " * depth + f"|--- {describe(node)}{hidden}")
            continue
        name, threshold = names[tree.feature[node]], f"{tree.threshold[node]:.{decimals}f}"
        waiting.append((right, depth + 1, f"{name} > {threshold}"))
        waiting.append((left, depth + 1, f"{name} <= {threshold}"))
    return "\n".join(lines) + "\n"


def tree_rules(
    tree: Tree, names: list[str], describe: Callable[[int], str], *, decimals: int
) -> list[str]:
    """Return one rule per leaf, sorted by decreasing share of the rows.

    Parameters
    ----------
    tree, names, describe, decimals
        See `tree_text`.

    Returns
    -------
    list of str
        Rules with one condition per feature, and the share of the rows in brackets.
    """
    leaves = sorted(_leaves(tree), key=lambda leaf: -tree.weighted_n_node_samples[leaf[0]])
    rules = []
    for leaf, bounds in leaves:
        conditions = [
            _condition(names[feature], low, high, decimals)
            for feature, (low, high) in bounds.items()
        ]
        share = tree.weighted_n_node_samples[leaf] / tree.weighted_n_node_samples[0]
        head = f"IF {' AND '.join(conditions)} THEN " if conditions else "ALWAYS "
        rules.append(f"{head}{describe(leaf)} ({share:.1%})")
    return rules


def _leaves(tree: Tree) -> Iterator[tuple[int, dict[int, tuple[float, float]]]]:
    """Yield each leaf with the interval (low, high] of each feature on its path."""
    waiting: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if tree.children_left[node] == _LEAF:
            yield node, bounds
            continue
        feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
        low, high = bounds.get(feature, (-np.inf, np.inf))
        waiting.append((tree.children_right[node], bounds | {feature: (threshold, high)}))
        waiting.append((tree.children_left[node], bounds | {feature: (low, threshold)}))


def _condition(name: str, low: float, high: float, decimals: int) -> str:
    if low == -np.inf:
        return f"{name} <= {high:.{decimals}f}"
    if high == np.inf:
        return f"{name} > {low:.{decimals}f}"
    return f"{low:.{decimals}f} < {name} <= {high:.{decimals}f}"


def _count_leaves(tree: Tree, node: int) -> int:
    waiting, count = [node], 0
    while waiting:
        node = waiting.pop()
        if tree.children_left[node] == _LEAF:
            count += 1
        else:
            waiting += [tree.children_left[node], tree.children_right[node]]
    return count
