"""Splits a soft tree's output into contributions of features."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

_FLAT = 1e-8  # a change of activation below which a gate's slope is its derivative


def gate_effects(
    paths: np.ndarray, pushes: np.ndarray, biases: np.ndarray, leaf_values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Split the difference of a row's mean leaf value from that of a neutral row by feature.

    Gate i goes right with probability :math:`p_i = \sigma(b_i + \sum_j c_{ij})`, and for the
    neutral row, with all :math:`c_{ij} = 0`, with :math:`p_i^0 = \sigma(b_i)`. Let :math:`V_i^0` be
    the mean of the leaves under node i by the :math:`p^0`, and :math:`P_i` the probability that the
    row reaches node i. Then

    .. math:: V_0 - V_0^0 = \sum_i P_i (p_i - p_i^0) (V_{right(i)}^0 - V_{left(i)}^0),

    since :math:`V_i - V_i^0 = (p_i - p_i^0)(V_r^0 - V_l^0) + (1 - p_i)(V_l - V_l^0) +
    p_i (V_r - V_r^0)` at each gate. Each term is divided among the features in proportion to
    :math:`c_{ij}`, by the rescale rule of DeepLIFT.

    Parameters
    ----------
    paths : ndarray of shape (n_nodes,)
        P, the probability of reaching each node.
    pushes : ndarray of shape (n_gates, n_features)
        c, the contribution of each feature to each activation.
    biases : ndarray of shape (n_gates,)
        b, the bias of each gate.
    leaf_values : ndarray of shape (n_leaves, n_outputs)

    Returns
    -------
    contributions : ndarray of shape (n_outputs, n_features)
    base : ndarray of shape (n_outputs,)
        :math:`V_0^0`; plus the contributions of all features it is :math:`V_0`.

    References
    ----------
    Shrikumar, Greenside and Kundaje (2017), "Learning important features through propagating
    activation differences", arXiv:1704.02685, section 3.5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.explain.gate_effects import gate_effects
    >>> parts, base = gate_effects(
    ...     np.array([1, 0.2, 0.8]),
    ...     np.log([[2.0, 2.0]]),
    ...     np.array([0.0]),
    ...     np.array([[0.0], [1.0]]),
    ... )
    >>> parts.round(3), base
    (array([[0.15, 0.15]]), array([0.5]))
    """
    n_gates = len(biases)
    usual = expit(biases)
    values = np.concatenate([np.zeros((n_gates, leaf_values.shape[1])), leaf_values])
    for gate in reversed(range(n_gates)):
        left, right = values[2 * gate + 1], values[2 * gate + 2]
        values[gate] = (1 - usual[gate]) * left + usual[gate] * right
    change = pushes.sum(axis=1)
    flat = np.abs(change) < _FLAT
    slopes = np.where(
        flat,
        usual * (1 - usual),
        (expit(biases + change) - usual) / np.where(flat, 1, change),
    )
    between = values[2 : 2 * n_gates + 1 : 2] - values[1 : 2 * n_gates : 2]
    return ((paths[:n_gates] * slopes)[:, None] * between).T @ pushes, values[0]
