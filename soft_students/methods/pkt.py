"""Probabilistic knowledge transfer: match the neighbourhood probabilities of rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.gram import cosines
from soft_students.methods.lesson import Step
from soft_students.training.stages import Terms

__all__ = ["PKT", "pkt_loss"]

VARIANTS = ("reference", "paper")
_LEAST = 1e-7


def pkt_loss(student: Tensor, teacher: Tensor, variant: str = "reference") -> Tensor:
    r"""Return the divergence between the neighbourhoods of rows in two feature spaces.

    With :math:`K_{ij} = (\cos(f_i, f_j) + 1) / 2` and :math:`p_{j|i} = K_{ij} / \sum_k K_{ik}`, the
    loss compares p of the student with p of the teacher.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Each row is flattened; the sizes may differ. No gradient flows to the teacher's.
    variant : {"reference", "paper"}, default="reference"
        "reference", the authors' code: the mean of :math:`p_t \log((p_t + ε) / (p_s + ε))` with ε =
        1e-7 over all n² pairs, including each row with itself. "paper": no row is its own
        neighbour; the sum over neighbours, and the mean over rows.

    Returns
    -------
    Tensor
        A scalar, in nats.

    References
    ----------
    Passalis and Tefas (2018), "Learning deep representations with probabilistic knowledge
    transfer", arXiv:1803.10837.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import pkt_loss
    >>> features = torch.tensor([[1.0, 2.0], [0.0, 1.0], [0.0, 0.0]])
    >>> float(pkt_loss(features, 3 * features))
    0.0
    """
    if variant not in VARIANTS:
        raise ValueError(f"The variant of pkt must be one of {VARIANTS}. Got {variant!r}.")
    among_others = variant == "paper"
    wanted = _neighbours(teacher.detach(), among_others)
    ours = _neighbours(student, among_others)
    terms = wanted * ((wanted + _LEAST).log() - (ours + _LEAST).log())
    return terms.sum() / len(student) if among_others else terms.mean()


def _neighbours(features: Tensor, among_others: bool) -> Tensor:
    kernel = cosines(features) + 1  # 2 K; the division below cancels the 2
    if among_others:
        others = ~torch.eye(len(kernel), dtype=torch.bool, device=kernel.device)
        kernel = kernel * others
        # a single row, or one with only opposite rows, has no neighbours
        return kernel / kernel.sum(1, keepdim=True).clamp_min(_LEAST)
    return kernel / kernel.sum(1, keepdim=True)


class PKT(LossMethod):
    """Probabilistic knowledge transfer: the student reproduces the teacher's neighbourhoods.

    Parameters
    ----------
    weight : float, default=30000.0
        Weight of the loss, whose mean over pairs is small. For the variant "paper", with a mean
        over rows, take about 100.
    variant : {"reference", "paper"}, default="reference"
        See `pkt_loss`. The published results are those of the authors' code ("reference"), which
        differs from the paper.
    student_layers, teacher_layers : sequence of str, default=None
        Layers, in pairs. None takes the input of the last linear layer.

    References
    ----------
    Passalis and Tefas (2018), "Learning deep representations with probabilistic knowledge
    transfer", arXiv:1803.10837.
    """

    key = "pkt"
    title = "Probabilistic knowledge transfer"
    paper = Paper(
        "Passalis and Tefas",
        2018,
        "Learning deep representations with probabilistic knowledge transfer",
        "ECCV",
        "arXiv:1803.10837",
    )
    needs = frozenset({"teacher", "network", "data"})
    looks_at = "embedding"
    _zero_when_equal = True

    def __init__(
        self,
        *,
        weight: float = 30000.0,
        variant: str = "reference",
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.variant = variant
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sum over layers."""
        assert step.teacher is not None
        pairs = zip(step.student.features, step.teacher.features, strict=True)
        losses = [pkt_loss(student, teacher, self.variant) for student, teacher in pairs]
        return {"pkt": self.weight * torch.stack(losses).sum()}
