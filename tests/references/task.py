"""Quality of probabilities and choices restated from the definitions, one number at a time."""

import math


def brier(proba, y):
    """Brier (1950), equation 2."""
    return math.fsum(
        (p - (1 if k == label else 0)) ** 2
        for row, label in zip(proba, y, strict=True)
        for k, p in enumerate(row)
    ) / len(y)


def log_loss(proba, y, least=2.220446049250313e-16):
    return math.fsum(
        -math.log(max(row[label], least)) for row, label in zip(proba, y, strict=True)
    ) / len(y)


def macro_f1(predicted, y):
    """The mean over classes that occur among either."""
    scores = []
    for k in sorted({*predicted, *y}):
        pairs = list(zip(predicted, y, strict=True))
        both = sum(1 for p, t in pairs if p == k and t == k)
        wrong = sum(1 for p, t in pairs if (p == k) != (t == k))
        scores.append(2 * both / (2 * both + wrong))
    return math.fsum(scores) / len(scores)


def exact_mcnemar(b, c):
    """Two-sided: the chance that a fair coin falls on one side as rarely as this, or rarer."""
    n = b + c
    tail = math.fsum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    return min(1.0, 2 * tail)


def chi_square_mcnemar(b, c):
    """Edwards (1948); the tail of chi-square with one degree of freedom is erfc(sqrt(x / 2))."""
    x = (abs(b - c) - 1) ** 2 / (b + c)
    return x, math.erfc(math.sqrt(x / 2))
