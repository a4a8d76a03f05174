"""Conditional adversarial distillation, row by row (Xu, Hsu and Huang, 2018)."""

import math

from references.cskd import probabilities


def losses(teacher, student, labels):
    """Return what the discriminator minimises, and what the student does."""
    adversarial = known = caught = seen = 0.0
    n = len(labels)
    for t, s, y in zip(teacher, student, labels, strict=True):
        fake = math.log(probabilities(s[:2])[1])
        right = math.log(probabilities(s[2:])[y])
        adversarial += (math.log(probabilities(t[:2])[0]) + fake) / n
        known += (math.log(probabilities(t[2:])[y]) + right) / n
        caught += fake / n
        seen += right / n
    return -(adversarial + known) / 2, (caught - seen) / 2
