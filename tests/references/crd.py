"""Contrastive representation distillation, score by score, from arXiv:1910.10699."""

import math


def nce(scores, n_rows):
    """Of exponentiated and normalised scores; the positive comes first."""
    total = 0.0
    for row in scores:
        k = len(row) - 1
        for j, score in enumerate(row):
            h = score / (score + k / n_rows)
            total -= math.log(h) if j == 0 else math.log(1 - h)
    return total / len(scores)


def crd(student, teacher, student_memory, teacher_memory, rows, temperature, normalised):
    """Return the loss of unit vectors, by loops; rows[i] is the positive and the negatives of i."""
    loss = 0.0
    for anchors, memory in ((student, teacher_memory), (teacher, student_memory)):
        n_rows = len(memory)
        scores = [
            [math.exp(float(anchors[i] @ memory[r]) / temperature) for r in rows[i]]
            for i in range(len(anchors))
        ]
        if normalised:
            flat = [score for row in scores for score in row]
            normaliser = sum(flat) / len(flat) * n_rows
            scores = [[score / normaliser for score in row] for row in scores]
        loss += nce(scores, n_rows)
    return loss
