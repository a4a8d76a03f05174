"""A fitted tree as text: indented, or as one rule per leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from soft_students.numerals import told_apart
from soft_students.sklearn_private import Tree
from soft_students.students.classical.tree_arrays import LARGEST

_LEAF = -1
_DIGITS = 5  # of thresholds and values, unless more are needed

_MISSING = "missing"  # bound that parts missing values from all others
_Thresholds = dict[tuple[int, float], str]


def tree_text(
    tree: Tree,
    names: list[str],
    describe: Callable[[int], str],
    *,
    max_depth: int,
    decimals: int | None,
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
    decimals : int or None
        Decimals of thresholds. None: enough digits to distinguish the thresholds of a feature.

    Returns
    -------
    str
    """
    thresholds, lines = _thresholds(tree, decimals), []
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
        feature = int(tree.feature[node])
        name, threshold = names[feature], thresholds[feature, float(tree.threshold[node])]
        waiting.append((right, depth + 1, _condition(name, threshold, None)))
        waiting.append((left, depth + 1, _condition(name, None, threshold)))
    return "\n".join(lines) + "\n"


def tree_rules(
    tree: Tree, names: list[str], describe: Callable[[int], str], *, decimals: int | None
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
    thresholds, rules = _thresholds(tree, decimals), []
    for leaf, bounds in leaves:
        conditions = [
            _condition(
                names[feature], thresholds.get((feature, low)), thresholds.get((feature, high))
            )
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


def _condition(name: str, low: str | None, high: str | None) -> str:
    if low == _MISSING:
        return f"{name} is missing"
    if high == _MISSING:
        return f"{name} is not missing" if low is None else f"{name} > {low}"
    if low is None:
        return f"{name} <= {high}"
    if high is None:
        return f"{name} > {low}"
    return f"{low} < {name} <= {high}"


def _thresholds(tree: Tree, decimals: int | None) -> _Thresholds:
    """Return the text of each threshold, by feature and value."""
    texts: _Thresholds = {}
    for feature in np.unique(tree.feature[tree.children_left != _LEAF]).tolist():
        values = np.unique(tree.threshold[tree.feature == feature]).tolist()
        if values[-1] >= LARGEST:
            texts[feature, values.pop()] = _MISSING
        if decimals is None:
            shown = told_apart(values, _DIGITS)
        else:
            shown = [f"{value:.{decimals}f}" for value in values]
        texts |= {(feature, value): text for value, text in zip(values, shown, strict=True)}
    return texts


def siblings(tree: Tree) -> np.ndarray:
    """Return for each node the other child of its parent; the root has itself."""
    other = np.arange(tree.node_count)
    inner = tree.children_left != _LEAF
    left, right = tree.children_left[inner], tree.children_right[inner]
    other[left], other[right] = right, left
    return other


def shown_value(value: float, other: float, decimals: int | None) -> str:
    """Return a value as text that differs from that of another value."""
    if decimals is None:
        return told_apart([value, other], _DIGITS)[0]
    return f"{value:.{decimals}f}"


def _count_leaves(tree: Tree, node: int) -> int:
    waiting, count = [node], 0
    while waiting:
        node = waiting.pop()
        if tree.children_left[node] == _LEAF:
            count += 1
        else:
            waiting += [tree.children_left[node], tree.children_right[node]]
    return count
