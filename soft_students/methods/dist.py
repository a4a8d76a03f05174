"""Distillation from a stronger teacher: correlations instead of a divergence."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar

from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Step
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["DIST", "dist_losses", "pearson_correlation"]


def pearson_correlation(a: Tensor, b: Tensor, eps: float = 1e-8) -> Tensor:
    """Return the linear correlation of each row of one matrix with the same row of another.

    Parameters
    ----------
    a, b : Tensor of shape (n, d)
    eps : float, default=1e-8
        Rows count as constant if the product of their two norms is smaller.

    Returns
    -------
    Tensor of shape (n,)
        Zero, with gradient zero, for constant rows.
    """
    a = a - a.mean(1, keepdim=True)
    b = b - b.mean(1, keepdim=True)
    squared = a.square().sum(1) * b.square().sum(1)
    # adding eps to the denominator would give constant rows gradients of 1 / eps
    return (a * b).sum(1) * squared.masked_fill(squared <= eps**2, math.inf).rsqrt()


def dist_losses(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0
) -> tuple[Tensor, Tensor]:
    r"""Return one minus the mean correlation of student and teacher, over rows and over classes.

    Both use the probabilities at temperature T and are multiplied by T². The first correlates the
    classes of each row ("inter-class"), the second the rows of each class ("intra-class").

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        No gradient flows to the teacher's.
    temperature : float, default=4.0

    Returns
    -------
    inter, intra : Tensor
        Scalars in [0, 2 T²]. For a single row, which has no correlation, `intra` is the constant
        T².

    References
    ----------
    Huang, You, Wang, Qian and Xu (2022), "Knowledge distillation from a stronger teacher",
    arXiv:2205.10536, section 4. The factor T² is that of the authors' code.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import dist_losses
    >>> z = torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])
    >>> [round(float(loss), 4) + 0.0 for loss in dist_losses(z, z)]
    [0.0, 0.0]
    """
    p_s = (student_logits / temperature).softmax(1)
    p_t = (teacher_logits.detach() / temperature).softmax(1)
    inter = 1 - pearson_correlation(p_s, p_t).mean()
    intra = 1 - pearson_correlation(p_s.T, p_t.T).mean()
    return temperature**2 * inter, temperature**2 * intra


class DIST(LossMethod):
    r"""Distillation from a stronger teacher: match correlations, not exact probabilities.

    :math:`L = CE(z_s, y) + \beta L_{inter} + \gamma L_{intra}`. The terms are logged as
    ``"dist inter"`` and ``"dist intra"``.

    Parameters
    ----------
    temperature : float, default=4.0
        T: 4 on CIFAR-100 and 1 on ImageNet in the paper.
    inter_weight, intra_weight : float, default=2.0
        β and γ.

    References
    ----------
    Huang, You, Wang, Qian and Xu (2022), "Knowledge distillation from a stronger teacher",
    arXiv:2205.10536, section 4.
    """

    key = "dist"
    title = "Correlations with a stronger teacher"
    paper = Paper(
        "Huang, You, Wang, Qian and Xu",
        2022,
        "Knowledge distillation from a stronger teacher",
        "NeurIPS",
        "arXiv:2205.10536",
    )
    needs = frozenset({"teacher", "data"})
    _zero_when_equal = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "inter_weight": [Interval(Real, 0, None, closed="left")],
        "intra_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        inter_weight: float = 2.0,
        intra_weight: float = 2.0,
    ) -> None:
        self.temperature = temperature
        self.inter_weight = inter_weight
        self.intra_weight = intra_weight

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return both losses."""
        assert step.teacher is not None
        inter, intra = dist_losses(step.student.logits, step.teacher.logits, self.temperature)
        return {"inter": self.inter_weight * inter, "intra": self.intra_weight * intra}
