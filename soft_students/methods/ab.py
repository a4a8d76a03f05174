"""Activation boundaries: match which neurons are active, not how strongly."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.fitnet import hint_regressor
from soft_students.methods.lesson import Lesson, Step
from soft_students.sklearn_private import Interval
from soft_students.training.batch import Batch
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["AB", "ab_loss"]


def ab_loss(student: Tensor, teacher: Tensor, margin: float = 1.0) -> Tensor:
    r"""Return :math:`\sum_i [(s_i + m)_+^2 1(t_i \le 0) + (m - s_i)_+^2 1(t_i > 0)]` per row.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Inputs of the activation functions, of equal shape. No gradient flows to the teacher's.
    margin : float, default=1.0
        m: distance from the boundary beyond which a student's neuron on the right side has no loss.

    Returns
    -------
    Tensor
        A scalar, the mean over rows.

    References
    ----------
    Heo, Lee, Yun and Choi (2019), "Knowledge transfer via distillation of activation boundaries
    formed by hidden neurons", arXiv:1811.03233, section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import ab_loss
    >>> teacher = torch.tensor([[2.0, -2.0]])
    >>> float(ab_loss(torch.tensor([[1.0, -5.0]]), teacher))  # right side, at the margin or beyond
    0.0
    >>> float(ab_loss(torch.tensor([[-1.0, 0.0]]), teacher))
    5.0
    """
    # both cases at once: the distance to the margin on the teacher's side of the boundary
    side = 1 - 2 * (teacher > 0).to(student.dtype)
    return F.relu(student * side + margin).square().sum() / len(student)


class AB(LossMethod):
    r"""Activation boundaries: pre-train on which neurons of the teacher are active, then the task.

    Stage 1 minimises :math:`\lambda \sum_l 2^{l - L} L_{AB}(c_l(s_l), t_l)` over L layers. The
    deepest has weight 1, each earlier one half the weight of the next; c are connectors. It trains
    the student up to layer L. The main stage has no term of its own: it minimises the cross-entropy
    to the labels and the terms of combined methods. The authors use soft targets alone on CIFAR-10,
    ``[AB(), KD(temperature=3, hard_weight=0)]``, and labels for transfer learning.

    Parameters
    ----------
    boundary_epochs : int, default=None
        Epochs of stage 1, in addition to the main stage. None takes a quarter of its epochs.
    margin : float, default=1.0
        m.
    weight : float, default=0.003
        λ, as in the authors' code for CIFAR-10.
    student_layers, teacher_layers : sequence of str, default=None
        Inputs of activation functions of feature maps, in pairs: ``"stages.1.2:input"``. None takes
        the last of each resolution.

    References
    ----------
    Heo, Lee, Yun and Choi (2019), "Knowledge transfer via distillation of activation boundaries
    formed by hidden neurons", AAAI, arXiv:1811.03233, section 3. Layers of equal shape have no
    connector, as in the authors' code. Maps of different size, which the paper does not treat, are
    connected by `hint_regressor`.
    """

    key = "ab"
    title = "Activation boundaries"
    paper = Paper(
        "Heo, Lee, Yun and Choi",
        2019,
        "Knowledge transfer via distillation of activation boundaries formed by hidden neurons",
        "AAAI",
        "arXiv:1811.03233",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "preactivation"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "boundary_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "margin": [Interval(Real, 0, None, closed="neither")],
        "weight": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        boundary_epochs: int | None = None,
        margin: float = 1.0,
        weight: float = 0.003,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.boundary_epochs = boundary_epochs
        self.margin = margin
        self.weight = weight
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def watched(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return no layers: the main stage uses no features."""
        return [], []

    def adapter(self, lesson: Lesson, network: nn.Module) -> nn.Module:
        """Return one connector per pair of layers, for stage 1."""
        return nn.ModuleList(
            _connector(student, teacher)
            for student, teacher in self.shapes(lesson, network, maps=True)
        )

    def prepare(
        self, lesson: Lesson, network: nn.Module
    ) -> Generator[Stage, None, nn.Module | None]:
        """Yield stage 1."""
        connectors = self.adapter(lesson, network)
        look = self.look(lesson, network)

        def loss(batch: Batch) -> Terms:
            return {"ab": self.weight * self._boundaries(look(batch), connectors)}

        epochs = self.boundary_epochs or lesson.share_of_epochs(1 / 4)
        # Parameters behind layer L get no gradient; the optimiser skips them.
        yield Stage("ab boundaries", [Player([network, connectors], loss)], epochs=epochs)
        return None

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return no terms: the boundaries are trained in stage 1."""
        return {}

    def _boundaries(self, step: Step, connectors: nn.Module) -> Tensor:
        assert step.teacher is not None
        assert isinstance(connectors, nn.ModuleList)
        trios = zip(connectors, step.student.features, step.teacher.features, strict=True)
        losses = [ab_loss(connect(s), t, self.margin) for connect, s, t in trios]
        return torch.stack(
            [loss * 2.0 ** (i + 1 - len(losses)) for i, loss in enumerate(losses)]
        ).sum()


def _connector(student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
    if student == teacher:
        return nn.Identity()
    if student[1:] != teacher[1:]:
        return nn.Sequential(hint_regressor(student, teacher), nn.BatchNorm2d(teacher[0]))
    convolution = nn.Conv2d(student[0], teacher[0], 1, bias=False)
    nn.init.normal_(convolution.weight, std=(2 / teacher[0]) ** 0.5)
    return nn.Sequential(convolution, nn.BatchNorm2d(teacher[0]))
