"""Neuron selectivity transfer, channel by channel, from the formulas of arXiv:1707.01219."""

import numpy as np


def maps(image):
    flat = [channel.ravel() for channel in image]
    return [f / np.linalg.norm(f) if np.linalg.norm(f) > 0 else f for f in flat]


def mmd(ours, theirs, k):
    def mean(a, b):
        return np.mean([k(x, y) for x in a for y in b])

    return mean(theirs, theirs) + mean(ours, ours) - 2 * mean(ours, theirs)


def nst(student, teacher, kernel, offset=0.0):
    losses = []
    for s, t in zip(student, teacher, strict=True):
        ours, theirs = maps(s), maps(t)
        if kernel == "linear":
            losses.append(mmd(ours, theirs, lambda x, y: x @ y))
        elif kernel == "poly":
            losses.append(mmd(ours, theirs, lambda x, y: (x @ y + offset) ** 2))
        else:
            width = np.mean([((x - y) ** 2).sum() for x in ours for y in theirs]) or 0.5
            losses.append(
                mmd(ours, theirs, lambda x, y, w=width: np.exp(-((x - y) ** 2).sum() / (2 * w)))
            )
    return np.mean(losses)
