"""Deep mutual learning, row by row (Zhang et al., 2018)."""

from references.cskd import divergence, probabilities


def mutual(logits, others):
    total = 0.0
    for other in others:
        for own, theirs in zip(logits, other, strict=True):
            total += divergence(probabilities(theirs), probabilities(own))
    return total / (len(others) * len(logits))
