"""Relational distillation, pair by pair and triple by triple, from arXiv:1904.05068."""

import numpy as np


def smooth_l1(a, b):
    d = abs(a - b)
    return 0.5 * d * d if d < 1 else d - 0.5


def distances(rows):
    n = len(rows)
    d = np.array([[np.sqrt(((rows[i] - rows[j]) ** 2).sum()) for j in range(n)] for i in range(n)])
    positive = d[d > 0]
    return d / positive.mean() if len(positive) else d


def distance(student, teacher):
    s, t = distances(student), distances(teacher)
    return np.mean([smooth_l1(a, b) for a, b in zip(s.flat, t.flat, strict=True)])


def direction(a, b):
    length = np.sqrt(((a - b) ** 2).sum())
    return (a - b) / length if length > 0 else np.zeros_like(a)


def angle(student, teacher):
    n = len(student)
    losses = []
    for i in range(n):
        for j in range(n):
            for k in range(n):
                s, t = (
                    direction(rows[i], rows[j]) @ direction(rows[k], rows[j])
                    for rows in (student, teacher)
                )
                losses.append(smooth_l1(s, t))
    return np.mean(losses)
