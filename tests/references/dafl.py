"""The generator's losses in data-free learning, row by row (Chen et al., 2019)."""

import math

import numpy as np
from references.cskd import probabilities


def losses(logits, features):
    """Return one-hot, information and activation loss."""
    n = len(logits)
    one_hot = -sum(math.log(max(probabilities(z))) for z in logits) / n
    mean = [sum(probabilities(z)[c] for z in logits) / n for c in range(logits.shape[1])]
    information = sum(p * math.log(p) for p in mean if p > 0)
    return one_hot, information, -float(np.abs(features).mean())


def statistics(seen, mean, variance):
    """Of one batch normalisation: how far a batch is from what it remembers."""
    means, variances = [], []
    for c in range(seen.shape[1]):
        values = seen[:, c].ravel()
        m = sum(values) / len(values)
        means.append(m - mean[c])
        variances.append(sum((v - m) ** 2 for v in values) / len(values) - variance[c])
    return math.sqrt(sum(d**2 for d in means)) + math.sqrt(sum(d**2 for d in variances))
