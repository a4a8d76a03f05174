"""Variational information distillation: maximise the mutual information of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.resizing import to_common_size
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["VID", "vid_loss"]

_EPS = 1e-5


def vid_loss(mean: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    r"""Return the mean of :math:`\frac{1}{2}((\mu - t)^2 / \sigma_c^2 + \log \sigma_c^2)`.

    Up to a constant this is the negative log-likelihood of the teacher's features under a Gaussian.
    Its minimisation maximises a lower bound of the mutual information.

    Parameters
    ----------
    mean : Tensor of shape (n, channels, height, width)
        μ, predicted from the student's features.
    teacher : Tensor of the same shape
        t. No gradient flows to it.
    variance : Tensor of shape (channels,)
        σ², positive.

    Returns
    -------
    Tensor
        A scalar, in nats per feature. It may be negative.

    References
    ----------
    Ahn, Hu, Damianou, Lawrence and Dai (2019), "Variational information distillation for knowledge
    transfer", arXiv:1904.05835, section 2.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import vid_loss
    >>> mean, teacher = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    >>> float(vid_loss(mean, teacher, torch.ones(3)))
    0.5
    """
    squared = (mean - teacher.detach()).square().mean(dim=(0, 2, 3))
    return (squared / variance + variance.log()).mean() / 2


class VariationalGaussian(nn.Module):
    r"""A Gaussian over the teacher's feature maps, given the student's.

    Three 1x1 convolutions give its mean. Its variance, :math:`softplus(\alpha_c) + \epsilon`, is
    one per channel, the same for all rows and pixels.

    Parameters
    ----------
    student_channels, teacher_channels : int
    initial_variance : float
    """

    def __init__(
        self, student_channels: int, teacher_channels: int, initial_variance: float
    ) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Conv2d(student_channels, teacher_channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(teacher_channels, teacher_channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(teacher_channels, teacher_channels, 1, bias=False),
        )
        v = initial_variance - _EPS
        alpha = v + math.log(-math.expm1(-v))  # the inverse of softplus
        self.alpha = nn.Parameter(torch.full((teacher_channels,), alpha))

    @property
    def variance(self) -> Tensor:
        """Variance of each channel of the teacher, shape (teacher_channels,)."""
        return F.softplus(self.alpha) + _EPS

    def forward(self, student: Tensor) -> Tensor:
        """Return the mean."""
        return self.mean(student)


class VID(LossMethod):
    r"""Variational information distillation: maximise a bound of the mutual information of layers.

    :math:`L = CE(z_s, y) + \lambda \sum_l mean[\frac{1}{2}((\mu_l(s) - t)^2 / \sigma_{l,c}^2 + \log
    \sigma_{l,c}^2)]`. Maps of different size are averaged down to the smaller one.

    Parameters
    ----------
    weight : float, default=1.0
        λ.
    initial_variance : float, default=5.0
        σ² before training.
    student_layers, teacher_layers : sequence of str, default=None
        Layers with feature maps, in pairs. None takes the last of each resolution.

    References
    ----------
    Ahn, Hu, Damianou, Lawrence and Dai (2019), "Variational information distillation for knowledge
    transfer", arXiv:1904.05835, section 2. As in RepDistiller, whose code for this loss is the
    authors', the loss is the mean over features, not their sum, and the convolutions have no batch
    normalisation and as many hidden channels as the teacher's layer.
    """

    key = "vid"
    title = "Variational information distillation"
    paper = Paper(
        "Ahn, Hu, Damianou, Lawrence and Dai",
        2019,
        "Variational information distillation for knowledge transfer",
        "CVPR",
        "arXiv:1904.05835",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "spatial"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "initial_variance": [Interval(Real, 2 * _EPS, None, closed="left")],
    }

    def __init__(
        self,
        *,
        weight: float = 1.0,
        initial_variance: float = 5.0,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.initial_variance = initial_variance
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def adapter(self, lesson: Lesson, network: nn.Module) -> nn.Module:
        """Return one Gaussian per pair of layers."""
        return nn.ModuleList(
            VariationalGaussian(student[0], teacher[0], self.initial_variance)
            for student, teacher in self.shapes(lesson, network, maps=True)
        )

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sum over layers."""
        assert step.teacher is not None
        gaussians = cast(Sequence[VariationalGaussian], adapter)
        losses = []
        for gaussian, student, teacher in zip(
            gaussians, step.student.features, step.teacher.features, strict=True
        ):
            given, wanted = to_common_size(student, teacher)
            losses.append(vid_loss(gaussian(given), wanted, gaussian.variance))
        return {"vid": self.weight * torch.stack(losses).sum()}
