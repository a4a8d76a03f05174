"""Neuron selectivity transfer: match the distribution of channel activation patterns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.gram import unit
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.resizing import to_common_size
from soft_students.training.stages import Terms

__all__ = ["NST", "nst_loss"]

KERNELS = ("poly", "linear", "gaussian")


def nst_loss(student: Tensor, teacher: Tensor, kernel: str = "poly", offset: float = 0.0) -> Tensor:
    r"""Return the squared maximum mean discrepancy between two networks' channels.

    Each channel's map, flattened and scaled to unit length, is one sample. The loss of an image is
    :math:`\overline{k(t, t')} + \overline{k(s, s')} - 2\,\overline{k(s, t)}`, with means over pairs
    of channels; the result is the mean over images.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, channels, height, width)
        Average pooling shrinks the larger maps to the size of the smaller; channels may differ. No
        gradient flows to the teacher's.
    kernel : {"poly", "linear", "gaussian"}, default="poly"
        "poly": :math:`(x^\top y + c)^2`. "linear": :math:`x^\top y`. "gaussian": :math:`e^{-\|x -
        y\|^2 / 2σ^2}`, where σ² is the mean squared distance between an image's student and teacher
        channels (our reading), without gradient.
    offset : float, default=0.0
        c of "poly".

    Returns
    -------
    Tensor
        A scalar.

    Notes
    -----
    Memory stays below one value per pair of channels and pixel. The discrepancy of "linear" is the
    squared distance between mean maps. That of "poly" with c = 0 is the squared distance between
    mean outer products of maps, which are formed if a map has no more pixels than channels.

    References
    ----------
    Huang and Wang (2017), "Like what you like: knowledge distill via neuron selectivity transfer",
    arXiv:1707.01219, section 4.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import nst_loss
    >>> maps = torch.arange(24.0).view(1, 6, 2, 2)
    >>> round(float(nst_loss(maps, 2 * maps)), 6)
    0.0
    """
    student, teacher = to_common_size(student, teacher.detach())
    ours, theirs = unit(student.flatten(2), dim=2), unit(teacher.flatten(2), dim=2)
    if kernel == "linear":
        return _linear(ours, theirs)
    if kernel == "poly":
        squared = _squared(ours, theirs)
        return squared + 2 * offset * _linear(ours, theirs) if offset else squared
    if kernel == "gaussian":
        return _gaussian(ours, theirs)
    raise ValueError(f"The kernel of nst must be one of {KERNELS}. Got {kernel!r}.")


def _linear(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours.mean(1) - theirs.mean(1)).square().sum(1).mean()


def _squared(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the discrepancy under (xᵀy)²."""
    if ours.shape[2] <= max(ours.shape[1], theirs.shape[1]):
        outer = torch.bmm(theirs.mT, theirs) / theirs.shape[1]
        difference = torch.baddbmm(outer, ours.mT, ours, beta=-1, alpha=1 / ours.shape[1])
        return difference.square().sum((1, 2)).mean()
    with torch.no_grad():
        constant = torch.bmm(theirs, theirs.mT).square().mean()
    own = torch.bmm(ours, ours.mT).square().mean()
    return constant + own - 2 * torch.bmm(theirs, ours.mT).square().mean()


def _gaussian(ours: Tensor, theirs: Tensor) -> Tensor:
    between = _squared_distances(ours, theirs)
    width = between.detach().mean((1, 2), keepdim=True)
    width = torch.where(width > 0, 2 * width, 1)
    with torch.no_grad():
        constant = (_squared_distances(theirs, theirs) / -width).exp_().mean()
    own = (_squared_distances(ours, ours) / -width).exp().mean()
    return constant + own - 2 * (between / -width).exp().mean()


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    squares = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None, :]
    return torch.baddbmm(squares, a, b.mT, alpha=-2)


class NST(LossMethod):
    """Neuron selectivity transfer: the student's channels are active where the teacher's are.

    Parameters
    ----------
    weight : float, default=50.0
        λ of the sum over layers.
    kernel : {"poly", "linear", "gaussian"}, default="poly"
        See `nst_loss`.
    offset : float, default=0.0
        c of "poly".
    student_layers, teacher_layers : sequence of str, default=None
        Layers with feature maps, in pairs. None takes the last of each resolution.

    References
    ----------
    Huang and Wang (2017), "Like what you like: knowledge distill via neuron selectivity transfer",
    arXiv:1707.01219.
    """

    key = "nst"
    title = "Neuron selectivity transfer"
    paper = Paper(
        "Huang and Wang",
        2017,
        "Like what you like: knowledge distill via neuron selectivity transfer",
        "arXiv",
        "arXiv:1707.01219",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "spatial"
    _zero_when_equal = True

    def __init__(
        self,
        *,
        weight: float = 50.0,
        kernel: str = "poly",
        offset: float = 0.0,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.kernel = kernel
        self.offset = offset
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if the kernel is unknown."""
        if self.kernel not in KERNELS:
            raise ValueError(f"The kernel of nst must be one of {KERNELS}. Got {self.kernel!r}.")

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sum over layers."""
        assert step.teacher is not None
        pairs = zip(step.student.features, step.teacher.features, strict=True)
        losses = [
            nst_loss(student, teacher, self.kernel, self.offset) for student, teacher in pairs
        ]
        return {"nst": self.weight * torch.stack(losses).sum()}
