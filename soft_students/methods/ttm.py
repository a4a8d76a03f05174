"""Transformed teacher matching: raise the temperature of the teacher only."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Step
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["TTM", "WTTM", "ttm_loss"]


def ttm_loss(
    student_logits: Tensor, teacher_logits: Tensor, gamma: float = 0.1, *, weighted: bool = False
) -> Tensor:
    r"""Return :math:`KL(p_t^\gamma / U \| p_s)`, with :math:`U = \sum_c p_{t,c}^\gamma`; no T².

    The power transform of a softmax is the softmax at temperature :math:`1 / \gamma`.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        No gradient flows to the teacher's.
    gamma : float, default=0.1
        The exponent.
    weighted : bool, default=False
        Whether to weight each row by U (WTTM), which is smaller the more certain the teacher is.

    Returns
    -------
    Tensor
        The mean over rows, in nats.

    References
    ----------
    Zheng and Yang (2024), "Knowledge distillation based on transformed teacher matching",
    arXiv:2402.11148, sections 3 and 4.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import ttm_loss
    >>> z = torch.tensor([[1.0, 2.0, 3.0]])
    >>> bool(ttm_loss(z, z) > 0)  # the student should be less certain
    True
    >>> float(ttm_loss(0.1 * z, z, gamma=0.1).abs()) < 1e-6
    True
    """
    log_s = F.log_softmax(student_logits, dim=1)
    with torch.no_grad():
        target = F.log_softmax(teacher_logits, dim=1).mul_(gamma).exp_()
        mass = target.sum(1)
        target /= mass[:, None]
    divergence = F.kl_div(log_s, target, reduction="none").sum(1)
    return (mass * divergence if weighted else divergence).mean()


_PAPER = Paper(
    "Zheng and Yang",
    2024,
    "Knowledge distillation based on transformed teacher matching",
    "ICLR",
    "arXiv:2402.11148",
)
_CONSTRAINTS: dict[str, Any] = {
    "gamma": [Interval(Real, 0, None, closed="neither")],
    "weight": [Interval(Real, 0, None, closed="left")],
}


class TTM(LossMethod):
    r"""Transformed teacher matching: softened targets for the student's unsoftened predictions.

    :math:`L = CE(z_s, y) + \beta\,KL(p_t^\gamma / U \| p_s)`. Compared with `KD`, this adds a Rényi
    entropy of the student's probabilities, which counteracts overconfidence.

    Parameters
    ----------
    gamma : float, default=0.1
        γ, the inverse of the teacher's temperature.
    weight : float, default=45.0
        β. Both are those of the authors' example for CIFAR-100.

    References
    ----------
    Zheng and Yang (2024), "Knowledge distillation based on transformed teacher matching",
    arXiv:2402.11148, section 3.
    """

    key = "ttm"
    title = "Transformed teacher matching"
    paper = _PAPER
    needs = frozenset({"teacher", "data"})
    _parameter_constraints: ClassVar[dict[str, Any]] = _CONSTRAINTS

    def __init__(self, *, gamma: float = 0.1, weight: float = 45.0) -> None:
        self.gamma = gamma
        self.weight = weight

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the divergence from the transformed teacher."""
        assert step.teacher is not None
        loss = ttm_loss(step.student.logits, step.teacher.logits, self.gamma)
        return {"ttm": self.weight * loss}


class WTTM(LossMethod):
    r"""Weighted transformed teacher matching: rows with an uncertain teacher count more.

    :math:`L = CE(z_s, y) + \beta\,U\,KL(p_t^\gamma / U \| p_s)`, U the sum of :math:`p_t^\gamma` of
    the row.

    Parameters
    ----------
    gamma : float, default=0.2
        γ, the inverse of the teacher's temperature.
    weight : float, default=4.0
        β. Both are those of the authors' example for CIFAR-100, which adds a contrastive loss.

    References
    ----------
    Zheng and Yang (2024), "Knowledge distillation based on transformed teacher matching",
    arXiv:2402.11148, section 4.
    """

    key = "wttm"
    title = "Weighted transformed teacher matching"
    paper = _PAPER
    needs = frozenset({"teacher", "data"})
    _parameter_constraints: ClassVar[dict[str, Any]] = _CONSTRAINTS

    def __init__(self, *, gamma: float = 0.2, weight: float = 4.0) -> None:
        self.gamma = gamma
        self.weight = weight

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the weighted divergence from the transformed teacher."""
        assert step.teacher is not None
        loss = ttm_loss(step.student.logits, step.teacher.logits, self.gamma, weighted=True)
        return {"wttm": self.weight * loss}
