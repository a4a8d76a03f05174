"""Data-distortion guided self-distillation, row by row (Xu and Liu, 2019)."""

from references.cskd import divergence, probabilities


def view_divergence(logits):
    n = len(logits) // 2
    total = 0.0
    for i in range(n):
        a, b = probabilities(logits[i]), probabilities(logits[n + i])
        total += divergence(a, b) + divergence(b, a)
    return total / n


def view_discrepancy(features):
    n = len(features) // 2
    total = 0.0
    for d in range(features.shape[1]):
        a = sum(features[i, d] for i in range(n)) / n
        b = sum(features[n + i, d] for i in range(n)) / n
        total += (a - b) ** 2
    return total
