"""Factor transfer, entry by entry (Kim, Park and Kwak, 2018)."""

import math

import numpy as np


def pooled(maps, height, width):
    """Adaptive average pooling."""
    n, channels, h, w = maps.shape
    out = np.zeros((n, channels, height, width))
    for i in range(height):
        rows = slice(i * h // height, math.ceil((i + 1) * h / height))
        for j in range(width):
            columns = slice(j * w // width, math.ceil((j + 1) * w / width))
            out[:, :, i, j] = maps[:, :, rows, columns].mean(axis=(2, 3))
    return out


def smaller(a, b):
    height, width = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
    return pooled(a, height, width), pooled(b, height, width)


def ft(student, teacher):
    student, teacher = smaller(student, teacher)
    total, count = 0.0, 0
    for s, t in zip(student, teacher, strict=True):
        length_s, length_t = math.sqrt(np.sum(s**2)), math.sqrt(np.sum(t**2))
        for a, b in zip(s.ravel(), t.ravel(), strict=True):
            a = a / length_s if length_s else 0.0
            b = b / length_t if length_t else 0.0
            total += abs(a - b)
            count += 1
    return total / count
