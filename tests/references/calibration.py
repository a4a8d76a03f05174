"""Calibration restated from the definitions, one row at a time."""

import math


def top_label(proba, y):
    """Return confidence and correctness of each row."""
    pairs = []
    for row, label in zip(proba, y, strict=True):
        best = 0
        for k, p in enumerate(row):
            if p > row[best]:
                best = k
        pairs.append((row[best], 1.0 if best == label else 0.0))
    return pairs


def error(bins, n):
    total = 0.0
    for members in bins:
        if members:
            confidence = math.fsum(c for c, _ in members) / len(members)
            accuracy = math.fsum(a for _, a in members) / len(members)
            total += len(members) / n * abs(accuracy - confidence)
    return total


def expected_calibration_error(proba, y, n_bins):
    """Guo et al. (2017): bin m of M holds confidences in ((m-1)/M, m/M]."""
    pairs = top_label(proba, y)
    bins = [[] for _ in range(n_bins)]
    for confidence, right in pairs:
        place = 0
        while place < n_bins - 1 and confidence > (place + 1) / n_bins:
            place += 1
        bins[place].append((confidence, right))
    return error(bins, len(pairs))


def adaptive_calibration_error(proba, y, n_bins):
    """Nguyen and O'Connor (2015) where all confidences differ: bins of equally many rows."""
    pairs = sorted(top_label(proba, y))
    assert len({c for c, _ in pairs}) == len(pairs)
    assert len(pairs) % n_bins == 0
    size = len(pairs) // n_bins
    return error([pairs[i : i + size] for i in range(0, len(pairs), size)], len(pairs))
