"""Similarity-preserving distillation, entry by entry, from arXiv:1907.09682, equations 1 to 4."""

import math


def similarities(rows):
    table = []
    for a in rows:
        row = [sum(x * y for x, y in zip(a, b, strict=True)) for b in rows]
        length = math.sqrt(sum(g * g for g in row))
        table.append([g / length if length else 0.0 for g in row])
    return table


def sp(student, teacher):
    n = len(student)
    s, t = similarities(student), similarities(teacher)
    return sum((t[i][j] - s[i][j]) ** 2 for i in range(n) for j in range(n)) / n**2
