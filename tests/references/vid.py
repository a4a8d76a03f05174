"""Variational information distillation, feature by feature (Ahn et al., 2019)."""

import math


def vid(mean, teacher, variance):
    total, count = 0.0, 0
    n, channels, height, width = teacher.shape
    for i in range(n):
        for c in range(channels):
            for h in range(height):
                for w in range(width):
                    squared = (mean[i, c, h, w] - teacher[i, c, h, w]) ** 2
                    total += 0.5 * (squared / variance[c] + math.log(variance[c]))
                    count += 1
    return total / count
