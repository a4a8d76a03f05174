"""A soft decision tree node by node and row by row, from the formulas of arXiv:1711.09784.

Slow on purpose: every node is visited by a loop, nothing is shared with the package.
"""

import math

import numpy as np


def gate(x, weights, bias, beta):
    return 1 / (1 + math.exp(-beta * (float(np.dot(weights, x)) + bias)))


def node_probabilities(x, weights, biases, betas):
    """Return P^i(x) of every node, inner nodes first, as a list."""
    n_gates = len(biases)
    reached = [0.0] * (2 * n_gates + 1)
    reached[0] = 1.0
    for node in range(n_gates):
        right = gate(x, weights[node], biases[node], betas[node])
        reached[2 * node + 1] = reached[node] * (1 - right)
        reached[2 * node + 2] = reached[node] * right
    return reached


def distribution(logits):
    powers = [math.exp(value - max(logits)) for value in logits]
    return [power / sum(powers) for power in powers]


def classification_loss(X, T, sample_weights, weights, biases, betas, leaves, mixture_weight):
    n_gates = len(biases)
    Q = [distribution(list(leaf)) for leaf in leaves]
    total = 0.0
    for x, target, weight in zip(X, T, sample_weights, strict=True):
        reached = node_probabilities(x, weights, biases, betas)
        by_leaf = by_mixture = 0.0
        for k in range(len(target)):
            mean = 0.0
            for leaf in range(n_gates + 1):
                probability = reached[n_gates + leaf]
                by_leaf -= probability * target[k] * math.log(Q[leaf][k])
                mean += probability * Q[leaf][k]
            by_mixture -= target[k] * math.log(mean)
        total += weight * (mixture_weight * by_mixture + (1 - mixture_weight) * by_leaf)
    return total / sum(sample_weights)


def focus(X, T, sample_weights, weights, biases, betas, leaves, focusing):
    """Return the weight of each row in the focal loss, with a weighted mean of one."""
    Q = [distribution(list(leaf)) for leaf in leaves]
    rows = []
    for x, target in zip(X, T, strict=True):
        reached = node_probabilities(x, weights, biases, betas)[len(biases) :]
        overlap = sum(
            p * q[k] * target[k]
            for p, q in zip(reached, Q, strict=True)
            for k in range(len(target))
        )
        match = overlap / sum(value**2 for value in target)
        rows.append(max(0.02, 1 - match) ** focusing)
    mean = sum(f * w for f, w in zip(rows, sample_weights, strict=True)) / sum(sample_weights)
    return [f / mean for f in rows]


def regression_loss(X, Y, sample_weights, weights, biases, betas, leaves, mixture_weight):
    n_gates = len(biases)
    total = 0.0
    for x, y, weight in zip(X, Y, sample_weights, strict=True):
        reached = node_probabilities(x, weights, biases, betas)[n_gates:]
        by_leaf = sum(
            p * 0.5 * sum((y[k] - leaf[k]) ** 2 for k in range(len(y)))
            for p, leaf in zip(reached, leaves, strict=True)
        )
        mean = [
            sum(p * leaf[k] for p, leaf in zip(reached, leaves, strict=True)) for k in range(len(y))
        ]
        by_mixture = 0.5 * sum((y[k] - mean[k]) ** 2 for k in range(len(y)))
        total += weight * (mixture_weight * by_mixture + (1 - mixture_weight) * by_leaf)
    return total / sum(sample_weights)


def alphas(X, sample_weights, weights, biases, betas):
    """Return numerator and denominator of alpha of each gate, for one batch."""
    n_gates = len(biases)
    right, through = [0.0] * n_gates, [0.0] * n_gates
    for x, weight in zip(X, sample_weights, strict=True):
        reached = node_probabilities(x, weights, biases, betas)
        for node in range(n_gates):
            p = gate(x, weights[node], biases[node], betas[node])
            right[node] += weight * reached[node] * p
            through[node] += weight * reached[node]
    total = sum(sample_weights)
    return [r / total for r in right], [t / total for t in through]


def penalty(alpha, strength):
    """Return C = -sum_i lambda 2^-d_i (log alpha_i + log(1 - alpha_i)) / 2."""
    total = 0.0
    for node, value in enumerate(alpha):
        depth = int(math.log2(node + 1))
        total -= strength * 2.0**-depth * 0.5 * (math.log(value) + math.log(1 - value))
    return total


def predict(x, weights, biases, betas, outputs, prediction):
    """Return the outputs of the chosen leaf, or their mean."""
    n_gates = len(biases)
    reached = node_probabilities(x, weights, biases, betas)
    if prediction == "expectation":
        return sum(p * np.asarray(o) for p, o in zip(reached[n_gates:], outputs, strict=True))
    if prediction == "greatest_path":
        return np.asarray(outputs[int(np.argmax(reached[n_gates:]))])
    node = 0
    while node < n_gates:
        p = gate(x, weights[node], biases[node], betas[node])
        node = 2 * node + (2 if p > 0.5 else 1)
    return np.asarray(outputs[node - n_gates])
