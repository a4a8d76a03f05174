"""Rankings by several criteria, restated in loops from Hwang and Yoon (1981) and Saaty (1977)."""

import math

import numpy as np


def comparable(column, higher, normalization):
    """Return a column's values as comparable ones, of which higher is better."""
    worst, best = (min(column), max(column)) if higher else (max(column), min(column))
    if normalization == "minmax":
        return [(x - worst) / (best - worst) if best != worst else 1.0 for x in column]
    if normalization == "vector":
        norm = math.sqrt(sum(x * x for x in column))
        return [(x if higher else -x) / norm for x in column]  # a shift moves no distance
    if normalization == "reference":  # the mean of the column
        mean = sum(column) / len(column)
        return [x / mean if higher else mean / x for x in column]
    if normalization == "ratio":
        return [x / best if higher else best / x for x in column]
    shares = [x if higher else 1 / x for x in column]
    return [x / sum(shares) for x in shares]


def topsis(matrix, weights, higher, normalization="vector"):
    """Return the relative closeness of each row to the ideal one."""
    columns = [
        [w * x for x in comparable([row[j] for row in matrix], higher[j], normalization)]
        for j, w in enumerate(weights)
    ]
    scores = []
    for i in range(len(matrix)):
        to_best = math.sqrt(sum((column[i] - max(column)) ** 2 for column in columns))
        to_worst = math.sqrt(sum((column[i] - min(column)) ** 2 for column in columns))
        scores.append(to_worst / (to_best + to_worst))
    return scores


def index(matrix, weights, higher, normalization="minmax"):
    """Return the weighted sum of each row's comparable values."""
    scores = [0.0] * len(matrix)
    for j, weight in enumerate(weights):
        column = comparable([row[j] for row in matrix], higher[j], normalization)
        for i, value in enumerate(column):
            scores[i] += weight * value
    return scores


def ahp(matrix):
    """Return the principal eigenvector and eigenvalue of a positive matrix, by its powers."""
    matrix = np.asarray(matrix, dtype=np.float64)
    vector = np.ones(len(matrix)) / len(matrix)
    for _ in range(10_000):
        vector = matrix @ vector
        vector /= vector.sum()
    return vector, (matrix @ vector)[0] / vector[0]


def front(matrix, higher):
    """Tell of each row whether no other dominates it."""

    def as_good(x, y, up):
        return x >= y if up else x <= y

    def dominates(one, two):
        each = list(zip(one, two, higher, strict=True))
        return all(as_good(*three) for three in each) and any(x != y for x, y, _ in each)

    return [not any(dominates(other, row) for other in matrix) for row in matrix]
