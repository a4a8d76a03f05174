"""Flow of the solution procedure: match the inner products of consecutive layers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.sklearn_private import Interval
from soft_students.training.batch import Batch
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["FSP", "fsp_loss", "fsp_matrix"]


def fsp_matrix(first: Tensor, second: Tensor) -> Tensor:
    r"""Return the FSP matrix :math:`G_{ij} = \sum_{h,w} F^1_{i,h,w} F^2_{j,h,w} / (HW)` per row.

    Parameters
    ----------
    first : Tensor of shape (n, c1, h1, w1)
    second : Tensor of shape (n, c2, h2, w2)
        The larger of the two is max-pooled to the size of the smaller.

    Returns
    -------
    Tensor of shape (n, c1, c2)

    References
    ----------
    Yim, Joo, Bae and Kim (2017), "A gift from knowledge distillation", section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import fsp_matrix
    >>> fsp_matrix(torch.ones(2, 3, 8, 8), torch.ones(2, 5, 4, 4)).shape
    torch.Size([2, 3, 5])
    """
    size = (min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3]))
    if first.shape[2:] != size:
        first = F.adaptive_max_pool2d(first, size)
    if second.shape[2:] != size:
        second = F.adaptive_max_pool2d(second, size)
    return (first.flatten(2) @ second.flatten(2).mT).div_(size[0] * size[1])


def fsp_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Return the mean squared difference of FSP matrices, summed over the pairs of layers.

    Parameters
    ----------
    student, teacher : sequence of Tensor of shape (n, channels, height, width)
        Layers in order; each is paired with the next. No gradient flows to the teacher's.

    Returns
    -------
    Tensor
        A scalar: the mean over rows and entries, the paper's loss divided by the number of
        entries, with equal weights.

    References
    ----------
    Yim, Joo, Bae and Kim (2017), "A gift from knowledge distillation", section 3.
    """
    losses = []
    for (s1, s2), (t1, t2) in zip(pairwise(student), pairwise(teacher), strict=True):
        # in place: many channels make large matrices
        difference = fsp_matrix(s1, s2).sub_(fsp_matrix(t1.detach(), t2.detach()))
        losses.append(F.mse_loss(difference, difference.new_zeros(()).expand_as(difference)))
    return torch.stack(losses).sum()


class FSP(LossMethod):
    """Flow of the solution procedure: pre-train on the flow between layers, then train the task.

    Stage 1 minimises `fsp_loss` and trains the student up to the last compared layer. The main
    stage has no term of its own: it minimises the cross-entropy to the labels and the terms of
    combined methods.

    Parameters
    ----------
    flow_epochs : int, default=None
        Epochs of stage 1, in addition to the main stage. None takes a quarter of its epochs.
    student_layers, teacher_layers : sequence of str, default=None
        At least two layers with feature maps, in the order of use; those in a pair have the same
        number of channels. None takes the last of each resolution.

    References
    ----------
    Yim, Joo, Bae and Kim (2017), "A gift from knowledge distillation: fast optimization, network
    minimization and transfer learning", CVPR, doi:10.1109/CVPR.2017.754, section 3.
    """

    key = "fsp"
    title = "Flow of the solution procedure"
    paper = Paper(
        "Yim, Joo, Bae and Kim",
        2017,
        "A gift from knowledge distillation: fast optimization, network minimization and transfer "
        "learning",
        "CVPR",
        "doi:10.1109/CVPR.2017.754",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "spatial"
    _needs_equal_channels = True
    _zero_when_equal = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "flow_epochs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        flow_epochs: int | None = None,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.flow_epochs = flow_epochs
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def watched(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return no layers: the main stage uses no features."""
        return [], []

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if fewer than two layers are compared, or their channels differ."""
        ours, theirs = self.layers(lesson, lesson.student)
        shapes = self.shapes(lesson, lesson.student, maps=True)
        if len(shapes) < 2:
            raise ValueError(
                "The method 'fsp' compares the flow between layers and needs at least two layers "
                f"of student and teacher. Got {ours} and {theirs}; name more in student_layers and "
                "teacher_layers."
            )
        unequal = [
            f"{our!r} of the student with {s[0]} and {their!r} of the teacher with {t[0]}"
            for our, their, (s, t) in zip(ours, theirs, shapes, strict=True)
            if s[0] != t[0]
        ]
        if unequal:
            raise ValueError(
                "The method 'fsp' compares layers of equal numbers of channels. Got "
                f"{'; '.join(unequal)}. Name others in student_layers and teacher_layers, or use a "
                "method with regressors, such as 'fitnet'."
            )

    def prepare(
        self, lesson: Lesson, network: nn.Module
    ) -> Generator[Stage, None, nn.Module | None]:
        """Yield stage 1."""
        look = self.look(lesson, network)

        def loss(batch: Batch) -> Terms:
            step = look(batch)
            assert step.teacher is not None
            return {"fsp": fsp_loss(step.student.features, step.teacher.features)}

        epochs = self.flow_epochs or lesson.share_of_epochs(1 / 4)
        # Parameters behind the last layer get no gradient; the optimiser skips them.
        yield Stage("fsp flow", [Player([network], loss)], epochs=epochs)
        return None

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return no terms: the flow is trained in stage 1."""
        return {}
