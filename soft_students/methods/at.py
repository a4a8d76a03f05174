"""Attention transfer: match where feature maps are strong."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Step
from soft_students.training.stages import Terms

__all__ = ["AT", "at_loss", "attention_map"]


def attention_map(features: Tensor) -> Tensor:
    """Return the mean square over channels, flattened and scaled to unit length.

    Parameters
    ----------
    features : Tensor of shape (n, channels, height, width)

    Returns
    -------
    Tensor of shape (n, height * width)
        Zero where all features are zero.
    """
    return F.normalize(features.square().mean(dim=1).flatten(1), dim=1)


def at_loss(student: Tensor, teacher: Tensor, variant: str = "reference") -> Tensor:
    r"""Return the distance between attention maps :math:`Q = q / \|q\|_2`.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, channels, height, width)
        If the sizes differ, adaptive average pooling resamples the teacher's map to the student's
        size. No gradient flows to the teacher's.
    variant : {"reference", "paper"}, default="reference"
        "reference", the authors' code: the mean squared difference over rows and pixels. "paper",
        equation 2: half the norm of the difference, :math:`\|Q_s - Q_t\|_2 / 2`, the mean over
        rows.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Zagoruyko and Komodakis (2017), "Paying more attention to attention", arXiv:1612.03928,
    equation 2.
    """
    teacher = teacher.detach()
    if teacher.shape[2:] != student.shape[2:]:
        teacher = _resampled(teacher.square().mean(1, keepdim=True), student)
        wanted = F.normalize(teacher.flatten(1), dim=1)
    else:
        wanted = attention_map(teacher)
    difference = attention_map(student) - wanted
    if variant == "reference":
        return difference.square().mean()
    # the gradient of torch's norm is undefined at zero; here it is zero
    squared = difference.square().sum(1)
    lengths = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt() * (squared > 0)
    return lengths.mean() / 2


def _resampled(maps: Tensor, like: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(maps, (like.shape[2], like.shape[3]))


class AT(LossMethod):
    """Attention transfer: the student's feature maps are strong where the teacher's are.

    Parameters
    ----------
    weight : float, default=1000.0
        β of the sum over layers.
    variant : {"reference", "paper"}, default="reference"
        See `at_loss`. The published results are those of the authors' code ("reference"), which
        differs from the paper.
    student_layers, teacher_layers : sequence of str, default=None
        Layers with feature maps, in pairs. None takes the last of each resolution.

    References
    ----------
    Zagoruyko and Komodakis (2017), "Paying more attention to attention: improving the performance
    of convolutional neural networks via attention transfer", arXiv:1612.03928, equation 2.
    """

    key = "at"
    title = "Attention transfer"
    paper = Paper(
        "Zagoruyko and Komodakis",
        2017,
        "Paying more attention to attention: improving the performance of convolutional neural "
        "networks via attention transfer",
        "ICLR",
        "arXiv:1612.03928",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "spatial"
    _zero_when_equal = True

    def __init__(
        self,
        *,
        weight: float = 1000.0,
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
        losses = [at_loss(student, teacher, self.variant) for student, teacher in pairs]
        return {"at": self.weight * torch.stack(losses).sum()}
