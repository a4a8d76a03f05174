"""Probabilistic knowledge transfer, pair by pair, from the formulas of arXiv:1803.10837."""

import math


def cosine(a, b):
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def neighbours(rows, i, among_others):
    kernel = [
        0.0 if among_others and i == j else (cosine(rows[i], rows[j]) + 1) / 2
        for j in range(len(rows))
    ]
    return [k / sum(kernel) if sum(kernel) else 0.0 for k in kernel]


def pkt(student, teacher, among_others=False):
    total = 0.0
    for i in range(len(student)):
        p_s = neighbours(student, i, among_others)
        p_t = neighbours(teacher, i, among_others)
        for j in range(len(student)):
            total += p_t[j] * math.log((p_t[j] + 1e-7) / (p_s[j] + 1e-7))
    return total / len(student) ** (1 if among_others else 2)
