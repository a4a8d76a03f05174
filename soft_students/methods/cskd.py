"""Class-wise self-distillation: consistent predictions for rows of one class."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.samplers import SameClassPairs
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["CSKD", "cskd_loss"]


def cskd_loss(logits: Tensor, temperature: float = 4.0) -> Tensor:
    r"""Return :math:`T^2 KL(sg(p(x'; T)) \| p(x; T))`, the mean over both rows of all pairs.

    Parameters
    ----------
    logits : Tensor of shape (2 * n, n_classes)
        Logits of the first rows of n pairs, then of their partners. A last row without a partner is
        ignored. No gradient flows to the target side x'.
    temperature : float, default=4.0

    Returns
    -------
    Tensor
        A scalar, in nats; zero if no pair exists.

    References
    ----------
    Yun, Park, Lee and Shin (2020), "Regularizing class-wise predictions via self-knowledge
    distillation", arXiv:2003.13964, section 2.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import cskd_loss
    >>> float(cskd_loss(torch.tensor([[1.0, 2.0], [1.0, 2.0]])))
    0.0
    """
    n = len(logits) // 2
    if n == 0:
        return logits.sum() * 0
    # one softmax for both directions
    first, second = F.log_softmax(logits / temperature, dim=1).split(n)[:2]
    divergence = F.kl_div(first, second.detach(), reduction="sum", log_target=True) + F.kl_div(
        second, first.detach(), reduction="sum", log_target=True
    )
    return temperature**2 / (2 * n) * divergence


class CSKD(LossMethod):
    r"""Class-wise self-distillation: a row's prediction is the soft target of its partner.

    :math:`L = CE(z, y) + \lambda\,T^2 KL(sg(p(x'; T)) \| p(x; T))`, with x' another row of x's
    class. Needs no teacher; without labels, the teacher's predictions are the classes.

    A batch holds twice as many rows as usual, and all pass through the student at once. Each row of
    a pair learns from the other, and both from their label: the paper's equation, with x ranging
    over all rows of the batch. In the authors' code the partners get no gradient.

    Parameters
    ----------
    weight : float, default=1.0
        λ; 3 for fine-grained classes.
    temperature : float, default=4.0
        T.

    References
    ----------
    Yun, Park, Lee and Shin (2020), "Regularizing class-wise predictions via self-knowledge
    distillation", arXiv:2003.13964, section 2.
    """

    key = "cskd"
    title = "Class-wise self-distillation"
    paper = Paper(
        "Yun, Park, Lee and Shin",
        2020,
        "Regularizing class-wise predictions via self-knowledge distillation",
        "CVPR",
        "arXiv:2003.13964",
    )
    needs = frozenset({"data"})
    _order_matters = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, weight: float = 1.0, temperature: float = 4.0) -> None:
        self.weight = weight
        self.temperature = temperature

    @property
    def needs_all_rows(self) -> bool:
        """Whether all rows must be in memory: yes, to pair them."""
        return True

    def sampler(self, lesson: Lesson) -> SameClassPairs:
        """Return batches of pairs of one class."""
        weights = lesson.training_data().weights
        return SameClassPairs(lesson.labels(), lesson.batch_size, weights)

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the divergence within pairs."""
        return {"cskd": self.weight * cskd_loss(step.student.logits, self.temperature)}
