"""Probabilistic knowledge transfer: which rows are likely neighbours of which."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper, Terms
from soft_students.methods.gram import cosines
from soft_students.methods.lesson import Step

__all__ = ["PKT", "pkt_loss"]

VARIANTS = ("reference", "paper")
_LEAST = 1e-7


def pkt_loss(student: Tensor, teacher: Tensor, variant: str = "reference") -> Tensor:
    r"""Return the divergence between the neighbourhoods of rows in two feature spaces.

    :math:`K_{ij} = (\cos(f_i, f_j) + 1) / 2` and :math:`p_{j|i} = K_{ij} / \sum_k K_{ik}`; the loss
    compares :math:`p` of the teacher with that of the student.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Flattened; they may differ in size. No gradient flows to the teacher's.
    variant : {"reference", "paper"}, default="reference"
        "reference", the authors' code: the mean over all n² pairs, each row among its own
        neighbours, of :math:`p_t \log((p_t + ε) / (p_s + ε))` with ε = 1e-7. "paper": no row
        is its own neighbour; the sum over neighbours, and the mean over rows.

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
    kernel = cosines(features) + 1  # twice K, which its sum makes up for
    if among_others:
        others = ~torch.eye(len(kernel), dtype=torch.bool, device=kernel.device)
        kernel = kernel * others
        # a row without others, or with opposite ones alone, has no neighbours
        return kernel / kernel.sum(1, keepdim=True).clamp_min(_LEAST)
    return kernel / kernel.sum(1, keepdim=True)


class PKT(LossMethod):
    """Probabilistic knowledge transfer: the student has the teacher's neighbourhoods of rows.

    Parameters
    ----------
    weight : float, default=30000.0
        Of the mean over pairs, which is small. For the variant "paper" take about 100, the mean
        being over rows.
    variant : {"reference", "paper"}, default="reference"
        See `pkt_loss`. The authors' code differs from the paper, and published results are the
        code's, hence the default.
    student_layers, teacher_layers : sequence of str, default=None
        In pairs. None takes what goes into the last linear layer.

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
