"""Be your own teacher, row by row (Zhang et al., 2019)."""

import math

from references.cskd import divergence, probabilities


def terms(exits, features, deepest_logits, deepest_features, labels, temperature):
    """Return soft, hard and hint losses, each summed over exits and without weights."""
    n = len(labels)
    soft = hard = hints = 0.0
    for logits, seen in zip(exits, features, strict=True):
        for i in range(n):
            target = probabilities(deepest_logits[i], temperature)
            own = probabilities(logits[i], temperature)
            soft += divergence(target, own) / n
            hard -= math.log(probabilities(logits[i])[labels[i]]) / n
            hints += (
                sum((a - b) ** 2 for a, b in zip(seen[i], deepest_features[i], strict=True)) / n
            )
    return soft, hard, hints
