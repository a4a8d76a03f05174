"""Hints: the student's middle layer is trained to predict the teacher's."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.kd import kd_loss
from soft_students.methods.lesson import Lesson, Step
from soft_students.sklearn_private import Interval
from soft_students.training.batch import Batch
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["FitNet", "hint_loss", "hint_regressor"]


def hint_loss(guided: Tensor, hint: Tensor) -> Tensor:
    r"""Return :math:`\frac{1}{2} \|u - r(v)\|^2` per feature, the mean over rows.

    Parameters
    ----------
    guided : Tensor of shape (n, ...)
        r(v), the regressor's output for the student's guided layer.
    hint : Tensor of the same shape
        u, the teacher's layer. No gradient flows to it.

    Returns
    -------
    Tensor
        A scalar: the paper's loss divided by the number of features, which makes its scale
        independent of the layer's size.

    References
    ----------
    Romero et al. (2015), "FitNets: hints for thin deep nets", arXiv:1412.6550, section 2.
    """
    return F.mse_loss(guided, hint.detach()) / 2


def hint_regressor(student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
    """Return a linear or convolutional layer from the student's to the teacher's shape.

    Parameters
    ----------
    student, teacher : tuple of int
        Shapes of one row: (channels, height, width), or (features,).

    Returns
    -------
    nn.Module
        A layer without activation. For feature maps a convolution: 1x1 between equal sizes, 3x3 of
        stride 2 to half the size, transposed 4x4 of stride 2 to twice the size. Any other size, as
        in the paper, takes a convolution (to larger sizes, a transposed one) without padding, of
        kernel 1 + the difference.

    Raises
    ------
    ValueError
        If only one shape is a feature map, or one of height and width grows and the other shrinks.

    Examples
    --------
    >>> from soft_students.methods import hint_regressor
    >>> hint_regressor((16, 8, 8), (32, 4, 4))
    Conv2d(16, 32, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    """
    if len(student) == len(teacher) == 1:
        return nn.Linear(student[0], teacher[0])
    if len(student) != 3 or len(teacher) != 3:
        raise ValueError(
            "A regressor connects two feature maps (channels, height, width) or two layers "
            f"(features,). Got the student's {student} and the teacher's {teacher}."
        )
    (c_s, *size_s), (c_t, *size_t) = student, teacher
    less = [s - t for s, t in zip(size_s, size_t, strict=True)]
    if any(less) and all(s == 2 * t for s, t in zip(size_s, size_t, strict=True)):
        return nn.Conv2d(c_s, c_t, 3, stride=2, padding=1)
    if any(less) and all(t == 2 * s for s, t in zip(size_s, size_t, strict=True)):
        return nn.ConvTranspose2d(c_s, c_t, 4, stride=2, padding=1)
    kernel = (1 + abs(less[0]), 1 + abs(less[1]))
    if min(less) >= 0:
        return nn.Conv2d(c_s, c_t, kernel)
    if max(less) <= 0:
        return nn.ConvTranspose2d(c_s, c_t, kernel)
    raise ValueError(
        f"A regressor enlarges or shrinks both height and width. Got the student's {student} and "
        f"the teacher's {teacher}; choose layers of other sizes."
    )


class FitNet(LossMethod):
    r"""Hints: pre-train up to a middle layer, then train on labels and soft targets.

    Stage 1 minimises :math:`\frac{1}{2} \|u_h(x) - r(v_g(x))\|^2`, u the teacher's layer, v the
    student's and r a regressor; it trains the student up to that layer. The main stage minimises
    :math:`CE(z_s, y) + \lambda KL(softmax(z_t / T) \| softmax(z_s / T))`, without a factor T², with
    λ falling linearly.

    Parameters
    ----------
    hint_epochs : int, default=None
        Epochs of stage 1, in addition to the main stage. None takes a quarter of its epochs.
    soft_weight, final_soft_weight : float, default=4.0 and 1.0
        λ at the beginning and at the end. 0 and 0 leave soft targets out, or to another method:
        ``"fitnet,kd"``.
    temperature : float, default=3.0
        T.
    joint : bool, default=False
        Whether to train hints and everything else in a single stage, as most later comparisons do.
    weight : float, default=100.0
        Weight of the hints in a joint stage.
    student_layers, teacher_layers : sequence of str, default=None
        Guided layer and hint, or several in pairs. None takes the middle one of the layers that end
        a resolution.

    References
    ----------
    Romero, Ballas, Kahou, Chassang, Gatta and Bengio (2015), "FitNets: hints for thin deep nets",
    arXiv:1412.6550, section 2. The authors' regressor ends in the teacher's activation; ours is
    linear, so that it reaches negative values too.
    """

    key = "fitnet"
    title = "Hints"
    paper = Paper(
        "Romero, Ballas, Kahou, Chassang, Gatta and Bengio",
        2015,
        "FitNets: hints for thin deep nets",
        "ICLR",
        "arXiv:1412.6550",
    )
    needs = frozenset({"teacher", "network", "data"})
    looks_at = "spatial"
    _zero_when_equal = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hint_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "soft_weight": [Interval(Real, 0, None, closed="left")],
        "final_soft_weight": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "joint": ["boolean"],
        "weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        hint_epochs: int | None = None,
        soft_weight: float = 4.0,
        final_soft_weight: float = 1.0,
        temperature: float = 3.0,
        joint: bool = False,
        weight: float = 100.0,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.hint_epochs = hint_epochs
        self.soft_weight = soft_weight
        self.final_soft_weight = final_soft_weight
        self.temperature = temperature
        self.joint = joint
        self.weight = weight
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def layers(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the guided layer and the hint."""
        student, teacher = super().layers(lesson, network)
        if self.student_layers or self.teacher_layers:
            return student, teacher
        middle = len(student) // 2
        return [student[middle]], [teacher[middle]]

    def watched(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the same for a joint stage; otherwise no layers."""
        return self.layers(lesson, network) if self.joint else ([], [])

    def adapter(self, lesson: Lesson, network: nn.Module) -> nn.Module:
        """Return one regressor per pair."""
        return nn.ModuleList(hint_regressor(s, t) for s, t in self.shapes(lesson, network))

    def prepare(
        self, lesson: Lesson, network: nn.Module
    ) -> Generator[Stage, None, nn.Module | None]:
        """Yield the stage of hints, unless `joint` is set."""
        regressors = self.adapter(lesson, network)
        if self.joint:
            return regressors
        look = self.look(lesson, network)

        def loss(batch: Batch) -> Terms:
            return {"fitnet": self._hints(look(batch), regressors)}

        epochs = self.hint_epochs or lesson.share_of_epochs(1 / 4)
        # Parameters behind the guided layer get no gradient; the optimiser skips them.
        yield Stage("fitnet hints", [Player([network, regressors], loss)], epochs=epochs)
        return None

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the soft targets, and in a joint stage the hints."""
        assert step.teacher is not None
        terms: dict[str, Tensor] = {}
        if adapter is not None:
            terms["fitnet"] = self.weight * self._hints(step, adapter)
        if self.soft_weight or self.final_soft_weight:
            fall = self.final_soft_weight - self.soft_weight
            weight = self.soft_weight + fall * step.batch.progress
            # this paper has no factor T², which kd_loss includes
            loss = kd_loss(step.student.logits, step.teacher.logits, self.temperature)
            terms["soft targets"] = weight / self.temperature**2 * loss
        return terms

    def _hints(self, step: Step, regressors: nn.Module) -> Tensor:
        assert step.teacher is not None
        assert isinstance(regressors, nn.ModuleList)
        trios = zip(regressors, step.student.features, step.teacher.features, strict=True)
        return torch.stack([hint_loss(r(guided), hint) for r, guided, hint in trios]).sum()
