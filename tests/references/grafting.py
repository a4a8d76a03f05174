"""Filter grafting, weight by weight (Meng et al., 2020)."""

import math

import numpy as np


def entropy(weights, n_bins=10):
    values = np.sort(weights.ravel())
    low, high = values[0], values[-1]
    if low == high:
        return 0.0
    counts = [0] * n_bins
    for value in values:
        counts[min(int((value - low) / (high - low) * n_bins), n_bins - 1)] += 1
    shares = [c / len(values) for c in counts if c]
    return -sum(p * math.log(p) for p in shares)


def share(own, before, scale, steepness):
    return scale / math.pi * math.atan(steepness * (entropy(own) - entropy(before))) + 0.5
