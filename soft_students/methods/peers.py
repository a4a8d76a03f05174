"""Peers: several students trained together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _NormBase

from soft_students.methods.lesson import Lesson


def make_peers(lesson: Lesson, n_peers: int) -> list[nn.Module]:
    """Return the student and others of its architecture, with different initial weights."""
    fresh = [lesson.make_student().to(lesson.device) for _ in range(n_peers - 1)]
    return [lesson.student, *fresh]


def best_peer(lesson: Lesson, networks: Sequence[nn.Module]) -> nn.Module:
    """Return the network with the highest validation accuracy; ties go to the lowest loss.

    Without validation rows, return the first.
    """
    scores = [lesson.score(network) for network in networks]
    ranks = [(-math.inf, 0.0) if s is None else (s[0], -s[1]) for s in scores]
    return networks[max(range(len(networks)), key=lambda i: ranks[i])]


def ensemble_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of several networks' probabilities.

    Parameters
    ----------
    logits : sequence of Tensor of shape (n, n_classes)

    Returns
    -------
    Tensor of shape (n, n_classes)
    """
    log_p = F.log_softmax(torch.stack(list(logits)), dim=2)
    return log_p.logsumexp(0) - math.log(len(log_p))


class Ensemble(nn.Module):
    """Predicts by the mean of the probabilities of several networks.

    Parameters
    ----------
    networks : sequence of nn.Module
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits."""
        return ensemble_logits([network(inputs) for network in self.networks])


@contextmanager
def keeping_statistics(network: nn.Module) -> Iterator[None]:
    """Freeze the running statistics of a network in train mode.

    Batch normalisation still normalises by the batch, as in any training step.
    """
    normalising = [m for m in network.modules() if isinstance(m, _NormBase)]
    tracking = [m for m in normalising if m.track_running_stats]
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
