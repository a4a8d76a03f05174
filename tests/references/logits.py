"""Losses of logits, row by row: DKD, DIST, standardised logits, TTM and WTTM."""

import math

import numpy as np


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / e.sum()


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def kd(student, teacher, temperature):
    rows = [
        kl(softmax(t / temperature), softmax(s / temperature))
        for s, t in zip(student, teacher, strict=True)
    ]
    return temperature**2 * sum(rows) / len(rows)


def dkd(student, teacher, labels, temperature):
    """Zhao et al. (2022): (TCKD, NCKD)."""
    tckd, nckd = 0.0, 0.0
    for s, t, y in zip(student, teacher, labels, strict=True):
        p_s, p_t = softmax(s / temperature), softmax(t / temperature)
        tckd += kl([p_t[y], 1 - p_t[y]], [p_s[y], 1 - p_s[y]])
        others = [c for c in range(len(s)) if c != y]
        nckd += kl(softmax(t[others] / temperature), softmax(s[others] / temperature))
    return temperature**2 * tckd / len(labels), temperature**2 * nckd / len(labels)


def dist(student, teacher, temperature):
    """Huang et al. (2022): (inter-class, intra-class)."""
    p_s = np.array([softmax(s / temperature) for s in student])
    p_t = np.array([softmax(t / temperature) for t in teacher])
    inter = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p_s, p_t, strict=True)])
    intra = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p_s.T, p_t.T, strict=True)])
    return temperature**2 * inter, temperature**2 * intra


def standardized(logits, divisor_less_one):
    out = np.zeros_like(logits)
    for i, z in enumerate(logits):
        deviation = np.std(z, ddof=1 if divisor_less_one else 0)
        if deviation > 0:
            out[i] = (z - z.mean()) / deviation
    return out


def ttm(student, teacher, gamma, weighted):
    """Zheng and Yang (2024)."""
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        powers = softmax(t) ** gamma
        u = powers.sum()
        total += (u if weighted else 1.0) * kl(powers / u, softmax(s))
    return total / len(student)
