"""Validation score of a network, and selection of the epoch to keep."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from soft_students.networks.prepared import evaluating
from soft_students.training.batch import TrainingData

#: Accuracy and loss on the validation rows.
Score = tuple[float, float]

#: Maps the score of an epoch, and the best so far, to whether its weights are kept. The best may
#: be the same score. A later epoch takes the place of an earlier one.
Keep = Callable[[Score, Score], bool]


@torch.no_grad()
def score(
    network: nn.Module, data: TrainingData | None, device: torch.device, batch_size: int = 512
) -> Score | None:
    """Return the accuracy and mean cross-entropy of a network in eval mode, by row weights.

    Returns None without labels.
    """
    if data is None or data.labels is None:
        return None
    with evaluating(network):
        parts = [network(part.to(device)).cpu() for part in data.inputs.split(batch_size)]
    logits = torch.cat(parts).float()
    hits = (logits.argmax(1) == data.labels).double()
    if data.weights is None:
        return hits.mean().item(), F.cross_entropy(logits, data.labels).item()
    weights = data.weights / data.weights.sum()
    losses = F.cross_entropy(logits, data.labels, reduction="none")
    return (hits @ weights).item(), (losses.double() @ weights).item()


def better(new: Score, old: Score | None) -> Score:
    """Return the better of two scores: the higher accuracy; ties go to the lower loss."""
    # Ties are frequent with few rows.
    if old is None or (new[0], -new[1]) >= (old[0], -old[1]):
        return new
    return old


def is_best(new: Score, best: Score) -> bool:
    """Return whether the score is the best so far; rule that keeps the best epoch."""
    return new == best


def within_one_standard_error(n_rows: int) -> Keep:
    """Return a rule that keeps the last epoch within one standard error of the best accuracy.

    Smaller differences are attributed to chance, and with a schedule that ends at zero later epochs
    are better.

    Parameters
    ----------
    n_rows : int
        Number of validation rows.
    """

    def keep(new: Score, best: Score) -> bool:
        # Agresti and Coull (1998): add two hits and two misses, so that an accuracy of 0 or 1 has a
        # standard error above zero.
        smoothed = (best[0] * n_rows + 2) / (n_rows + 4)
        return new[0] >= best[0] - math.sqrt(smoothed * (1 - smoothed) / n_rows)

    return keep
