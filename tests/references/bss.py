"""Boundary-supporting samples of a linear teacher, row by row (Heo et al., 2019)."""

import numpy as np
from references.cskd import probabilities


def base_rows(student, teacher, labels, most):
    scores = []
    for i, label in enumerate(labels):
        if np.argmax(teacher[i]) != label or np.argmax(student[i]) != label:
            continue
        p, q = probabilities(teacher[i]), probabilities(student[i])
        score = sum((a - b) ** 2 for c, (a, b) in enumerate(zip(p, q, strict=True)) if c != label)
        scores.append((score, i))
    return [i for _, i in sorted(scores, reverse=True)[:most]]


def attack(weights, bias, x, target, low, high, step_size, n_steps):
    """Of one row; the teacher is ``weights @ x + bias``."""
    x = x.copy()
    base = int(np.argmax(weights @ x + bias))
    for _ in range(n_steps):
        z = weights @ x + bias
        if np.argmax(z) != base:
            break
        gradient = weights[target] - weights[base]
        length = np.sqrt(np.sum(gradient**2))
        if length > 0:
            margin = z[base] - z[target] + 1e-4
            x = x + step_size * (high - low) / 5 * margin * gradient / length
        x = np.clip(x, low, high)
    return x
