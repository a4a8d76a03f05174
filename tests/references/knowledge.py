"""Visual concepts and metrics of Cheng et al. (2020), image by image and pixel by pixel."""

import math


def concepts(entropies, foreground, threshold):
    """H̄ - H_i > b, with H̄ the mean over images of the background's mean entropy."""
    means = []
    for h, f in zip(entropies, foreground, strict=True):
        behind = [value for value, ahead in zip(h, f, strict=True) if not ahead]
        means.append(sum(behind) / len(behind))
    background = sum(means) / len(means)
    return [[background - value > threshold for value in h] for h in entropies]


def metrics(found, foreground, distances):
    """λ, D_mean, D_std and ρ; the first checkpoint is untrained and does not count."""
    shares, distances_at_most, kept = [], [], []
    for image in range(len(foreground)):
        ahead = foreground[image]
        last = found[-1][image]
        n_fg = sum(1 for c, f in zip(last, ahead, strict=True) if c and f)
        n_bg = sum(1 for c, f in zip(last, ahead, strict=True) if c and not f)
        if n_fg + n_bg:
            shares.append(n_fg / (n_fg + n_bg))
        counts = [
            sum(1 for c, f in zip(found[k][image], ahead, strict=True) if c and f)
            for k in range(1, len(found))
        ]
        if not any(counts):
            continue
        best = max(range(len(counts)), key=lambda k: (counts[k], -k))
        distances_at_most.append(distances[best + 1])
        ever = sum(
            1
            for pixel, f in enumerate(ahead)
            if f and any(found[k][image][pixel] for k in range(1, len(found)))
        )
        kept.append(n_fg / ever)
    mean = sum(distances_at_most) / len(distances_at_most)
    spread = sum((d - mean) ** 2 for d in distances_at_most) / len(distances_at_most)
    return sum(shares) / len(shares), mean, math.sqrt(spread), sum(kept) / len(kept)
