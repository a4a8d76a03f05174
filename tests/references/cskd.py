"""Class-wise self-distillation, row by row (Yun et al., 2020)."""

import math

import numpy as np


def probabilities(z, temperature=1.0):
    powers = [math.exp((v - max(z)) / temperature) for v in z]
    return [p / sum(powers) for p in powers]


def divergence(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def cskd(logits, temperature):
    n = len(logits) // 2
    total = 0.0
    for i in range(2 * n):
        partner = i + n if i < n else i - n
        own = probabilities(logits[i], temperature)
        other = probabilities(logits[partner], temperature)
        total += divergence(other, own)
    return temperature**2 * total / (2 * n)


def cskd_gradient(logits, temperature):
    """Of the loss above with what a row is compared with held fixed."""
    n = len(logits) // 2
    gradient = np.zeros_like(logits)
    for i in range(2 * n):
        partner = i + n if i < n else i - n
        own = np.array(probabilities(logits[i], temperature))
        other = np.array(probabilities(logits[partner], temperature))
        gradient[i] = temperature * (own - other) / (2 * n)
    return gradient
