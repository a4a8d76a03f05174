"""Similarity-preserving distillation: match the similarities between rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.gram import gram, unit
from soft_students.methods.lesson import Lesson, Step
from soft_students.training.stages import Terms

__all__ = ["SP", "sp_loss"]


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Return the mean squared difference between similarities of rows.

    :math:`\|\tilde G_t - \tilde G_s\|_F^2 / n^2`, where :math:`\tilde G` is :math:`G = Q Q^\top` of
    the flattened features Q with each row scaled to unit L2 norm.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Each row is flattened; the sizes may differ. No gradient flows to the teacher's.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Tung and Mori (2019), "Similarity-preserving knowledge distillation", arXiv:1907.09682,
    section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import sp_loss
    >>> features = torch.tensor([[1.0, 2.0], [0.0, 1.0], [0.0, 0.0]])
    >>> float(sp_loss(features, features))
    0.0
    """
    return F.mse_loss(unit(gram(student)), unit(gram(teacher.detach())))


class SP(LossMethod):
    """Similarity-preserving distillation: the student reproduces the teacher's similarities.

    Parameters
    ----------
    weight : float, default=3000.0
        γ of the sum over layers.
    student_layers, teacher_layers : sequence of str, default=None
        Layers, in pairs. None takes the last feature map of each network, as the paper's
        experiments do.

    References
    ----------
    Tung and Mori (2019), "Similarity-preserving knowledge distillation", arXiv:1907.09682.
    """

    key = "sp"
    title = "Similarity-preserving distillation"
    paper = Paper(
        "Tung and Mori",
        2019,
        "Similarity-preserving knowledge distillation",
        "ICCV",
        "arXiv:1907.09682",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "spatial"
    _zero_when_equal = True

    def __init__(
        self,
        *,
        weight: float = 3000.0,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def layers(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the layers to compare: by default the last feature maps."""
        student, teacher = super().layers(lesson, network)
        if self.student_layers or self.teacher_layers:
            return student, teacher
        return student[-1:], teacher[-1:]

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sum over layers."""
        assert step.teacher is not None
        pairs = zip(step.student.features, step.teacher.features, strict=True)
        losses = [sp_loss(student, teacher) for student, teacher in pairs]
        return {"sp": self.weight * torch.stack(losses).sum()}
