"""Fidelity restated from the definitions, one number at a time."""

import math


def agreement(student_labels, teacher_labels):
    pairs = list(zip(student_labels, teacher_labels, strict=True))
    return sum(1 for s, t in pairs if s == t) / len(pairs)


def first_largest(row):
    best = 0
    for k, value in enumerate(row):
        if value > row[best]:
            best = k
    return best


def kl_row(t, s):
    return math.fsum(tk * (math.log(tk) - math.log(sk)) for tk, sk in zip(t, s, strict=True) if tk)


def kl(student, teacher):
    return math.fsum(map(kl_row, teacher, student)) / len(teacher)


def cross_entropy(student, teacher):
    rows = [
        -math.fsum(tk * math.log(sk) for tk, sk in zip(t, s, strict=True) if tk)
        for s, t in zip(student, teacher, strict=True)
    ]
    return math.fsum(rows) / len(rows)


def top_k(student, teacher, k):
    """The teacher's choice has fewer than k columns before it in the student's order."""
    hits = 0
    for s, t in zip(student, teacher, strict=True):
        choice = first_largest(t)
        before = sum(1 for j, p in enumerate(s) if p > s[choice] or (p == s[choice] and j < choice))
        hits += before < k
    return hits / len(student)
