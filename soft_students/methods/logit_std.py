"""Standardised logits: match the relative logits of the classes, not their scale."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar

from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.kd import kd_loss
from soft_students.methods.lesson import Step
from soft_students.sklearn_private import Interval, StrOptions
from soft_students.training.stages import Terms

__all__ = ["LogitStandardization", "standardize_logits"]


def standardize_logits(logits: Tensor, variant: str = "reference", eps: float = 1e-7) -> Tensor:
    r"""Scale each row to mean zero and standard deviation one, :math:`(z - \bar z) / \sigma(z)`.

    Any loss of logits accepts the result. The student then need not match the scale of its
    teacher's logits.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
    variant : {"reference", "paper"}, default="reference"
        The standard deviation of C classes has the divisor C - 1 ("reference", the authors' code)
        or C ("paper", algorithm 1). The results differ by a constant factor, like a temperature.
    eps : float, default=1e-7
        Rows of a smaller standard deviation count as constant.

    Returns
    -------
    Tensor of shape (n, n_classes)
        Zero, with gradient zero, where all logits of a row are equal.

    References
    ----------
    Sun, Ren, Li, Wang and Cao (2024), "Logit standardization in knowledge distillation",
    arXiv:2403.01427, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import standardize_logits
    >>> standardize_logits(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    tensor([[-1.,  0.,  1.],
            [-1.,  0.,  1.]])
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    divisor = logits.shape[1] - (variant == "reference")
    deviation = centred.norm(dim=1, keepdim=True) / divisor**0.5
    # adding eps to the denominator would give constant rows gradients of 1 / eps
    return centred / deviation.masked_fill(deviation <= eps, math.inf)


class LogitStandardization(LossMethod):
    r"""Soft targets of standardised logits.

    :math:`L = a\,CE(z_s, y) + \lambda\,T^2 KL(softmax(Z_t / T) \| softmax(Z_s / T))`, where Z is
    `standardize_logits` of z. `DKD` has an option for it, and any other loss of logits can be
    computed on standardised ones.

    Parameters
    ----------
    temperature : float, default=2.0
        T.
    weight : float, default=9.0
        λ.
    hard_weight : float, default=0.1
        a, the weight of the labels.
    variant : {"reference", "paper"}, default="reference"
        See `standardize_logits`. The published results are those of the authors' code
        ("reference").

    References
    ----------
    Sun, Ren, Li, Wang and Cao (2024), "Logit standardization in knowledge distillation",
    arXiv:2403.01427, algorithm 1.
    """

    key = "logit_std"
    title = "Soft targets of standardised logits"
    paper = Paper(
        "Sun, Ren, Li, Wang and Cao",
        2024,
        "Logit standardization in knowledge distillation",
        "CVPR",
        "arXiv:2403.01427",
    )
    needs = frozenset({"teacher", "data"})
    _zero_when_equal = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "weight": [Interval(Real, 0, None, closed="left")],
        "hard_weight": [Interval(Real, 0, None, closed="left")],
        "variant": [StrOptions({"reference", "paper"})],
    }

    def __init__(
        self,
        *,
        temperature: float = 2.0,
        weight: float = 9.0,
        hard_weight: float = 0.1,
        variant: str = "reference",
    ) -> None:
        self.temperature = temperature
        self.weight = weight
        self.hard_weight = hard_weight
        self.variant = variant

    @property
    def label_weight(self) -> float:
        """Weight of the cross-entropy to the labels."""
        return self.hard_weight

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the divergence from the teacher."""
        assert step.teacher is not None
        student = standardize_logits(step.student.logits, self.variant)
        teacher = standardize_logits(step.teacher.logits, self.variant)
        return {"logit_std": self.weight * kd_loss(student, teacher, self.temperature)}
