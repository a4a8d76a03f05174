"""Correlation congruence, pair by pair, from the formulas of arXiv:1904.01802."""

import math

import numpy as np


def gaussian(a, b, gamma, order):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    similarity = float(a @ b) / lengths if lengths else 0.0
    return sum(
        math.exp(-2 * gamma) * (2 * gamma) ** p / math.factorial(p) * similarity**p
        for p in range(order + 1)
    )


def bilinear(a, b, gamma, order):
    return float(a @ b)


def mmd(a, b, gamma, order):
    return abs(sum(a) / len(a) - sum(b) / len(b))


KERNELS = {"gaussian": gaussian, "bilinear": bilinear, "mmd": mmd}


def cc(student, teacher, kernel, gamma, order):
    n = len(student)
    k = KERNELS[kernel]
    total = 0.0
    for i in range(n):
        for j in range(n):
            difference = k(teacher[i], teacher[j], gamma, order)
            difference -= k(student[i], student[j], gamma, order)
            total += difference**2
    return total / n**2
