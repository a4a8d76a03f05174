"""The flow of the solution procedure, entry by entry (Yim et al., 2017)."""

import math

import numpy as np


def max_pooled(maps, height, width):
    """Adaptive maximum pooling."""
    n, channels, h, w = maps.shape
    out = np.zeros((n, channels, height, width))
    for i in range(height):
        rows = slice(i * h // height, math.ceil((i + 1) * h / height))
        for j in range(width):
            columns = slice(j * w // width, math.ceil((j + 1) * w / width))
            out[:, :, i, j] = maps[:, :, rows, columns].max(axis=(2, 3))
    return out


def matrix(first, second):
    height = min(first.shape[2], second.shape[2])
    width = min(first.shape[3], second.shape[3])
    first, second = max_pooled(first, height, width), max_pooled(second, height, width)
    g = np.zeros((len(first), first.shape[1], second.shape[1]))
    for n, i, j in np.ndindex(*g.shape):
        for h in range(height):
            for w in range(width):
                g[n, i, j] += first[n, i, h, w] * second[n, j, h, w] / (height * width)
    return g


def fsp(student, teacher):
    total = 0.0
    for k in range(len(student) - 1):
        g_s, g_t = matrix(student[k], student[k + 1]), matrix(teacher[k], teacher[k + 1])
        entries = [(a - b) ** 2 for a, b in zip(g_s.ravel(), g_t.ravel(), strict=True)]
        total += sum(entries) / len(entries)
    return total
