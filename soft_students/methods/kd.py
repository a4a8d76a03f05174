"""Soft targets: the original method of distillation."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Step
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["KD", "kd_loss"]


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0) -> Tensor:
    r"""Return :math:`T^2 KL(softmax(z_t / T) \| softmax(z_s / T))`, the mean over rows.

    The factor T² keeps the scale of the gradient as T changes; it is applied nowhere else.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        No gradient flows to the teacher's.
    temperature : float, default=4.0

    Returns
    -------
    Tensor
        A scalar, in nats.

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, section 2.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import kd_loss
    >>> z = torch.tensor([[1.0, 2.0, 3.0]])
    >>> float(kd_loss(z, z))
    0.0
    """
    log_s = F.log_softmax(student_logits / temperature, dim=1)
    log_t = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    del student_logits, teacher_logits  # free memory before the divergence
    divergence = F.kl_div(log_s, log_t, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


class KD(LossMethod):
    r"""Soft targets at a raised temperature, combined with the labels.

    :math:`L = a\,CE(z_s, y) + (1 - a)\,T^2 KL(softmax(z_t / T) \| softmax(z_s / T))`.

    Parameters
    ----------
    temperature : float, default=1.0
        T of the soft targets, above 0.
    hard_weight : float, default=0.0
        a, the weight of the labels, in [0, 1].

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, section 2.
    """

    key = "kd"
    title = "Soft targets"
    paper = Paper(
        "Hinton, Vinyals and Dean",
        2015,
        "Distilling the knowledge in a neural network",
        "NIPS Deep Learning Workshop",
        "arXiv:1503.02531",
    )
    needs = frozenset({"teacher", "data"})
    _zero_when_equal = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "hard_weight": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, *, temperature: float = 1.0, hard_weight: float = 0.0) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight

    @property
    def label_weight(self) -> float:
        """Weight of the cross-entropy to the labels."""
        return self.hard_weight

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the divergence from the teacher."""
        assert step.teacher is not None
        loss = kd_loss(step.student.logits, step.teacher.logits, self.temperature)
        return {"kd": (1 - self.hard_weight) * loss}
