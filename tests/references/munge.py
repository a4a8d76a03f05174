"""MUNGE row by row, after Algorithm 1 of Bucila, Caruana and Niculescu-Mizil (2006).

It differs from the paper in one thing, as the package does: a row's turn changes that row alone,
and its neighbour is read as it was at first.
"""

import numpy as np


def nearest(X, i, categorical):
    """Return the nearest other row, by deviations of numbers and two for unlike categories."""
    best, least = None, np.inf
    for j in range(len(X)):
        if j == i:
            continue
        distance = 0.0
        for a in range(X.shape[1]):
            if categorical[a]:
                distance += 2.0 * (X[i, a] != X[j, a])
            else:
                deviation = np.std(X[:, a])
                distance += ((X[i, a] - X[j, a]) / (deviation if deviation > 0 else 1.0)) ** 2
        if distance < least:
            best, least = j, distance
    return best


def munge(X, p, s, categorical, swapped, rng):
    made = X.copy()
    for i in range(len(X)):
        neighbour = X[nearest(X, i, categorical)]
        for a in range(X.shape[1]):
            if rng.random_sample() >= p:
                continue
            if swapped[a]:
                made[i, a] = neighbour[a]
            else:
                deviation = abs(X[i, a] - neighbour[a]) / s
                made[i, a] = rng.normal(neighbour[a], deviation)
    return made
