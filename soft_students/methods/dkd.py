"""Decoupled distillation: separate losses for the true class and for all others."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.logit_std import standardize_logits
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["DKD", "dkd_losses"]


def dkd_losses(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float = 4.0
) -> tuple[Tensor, Tensor]:
    r"""Return the divergence of the true class from the rest, and the divergence within the rest.

    With :math:`p_y` the probability of the true class at temperature T, and :math:`\hat p` the
    distribution over the other classes alone, they are :math:`TCKD = T^2 KL((p_y^t, 1 - p_y^t) \|
    (p_y^s, 1 - p_y^s))` and :math:`NCKD = T^2 KL(\hat p^t \| \hat p^s)`, each the mean over rows.
    `kd_loss` is :math:`TCKD + (1 - p_y^t) NCKD`, row by row.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        Logits of at least three classes. No gradient flows to the teacher's.
    labels : Tensor of int64, shape (n,)
    temperature : float, default=4.0

    Returns
    -------
    tckd, nckd : Tensor
        Scalars, in nats.

    Raises
    ------
    ValueError
        If the number of classes is below three: a single other class has no distribution.

    References
    ----------
    Zhao, Cui, Song, Qiu and Liang (2022), "Decoupled knowledge distillation", arXiv:2203.08679,
    section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import dkd_losses
    >>> teacher = torch.tensor([[9.0, 3.0, 1.0]])
    >>> student = torch.tensor([[9.0, 1.0, 3.0]])  # same true class, other order of the rest
    >>> tckd, nckd = dkd_losses(student, teacher, torch.tensor([0]))
    >>> bool(tckd.abs() < 1e-3), bool(nckd > 1)
    (True, True)
    """
    if student_logits.shape[1] < 3:
        raise ValueError(_few_classes(student_logits.shape[1]))
    binary_s, others_s = _decoupled(student_logits / temperature, labels)
    with torch.no_grad():
        binary_t, others_t = _decoupled(teacher_logits / temperature, labels)
        others_t = others_t.exp_()
    scale = temperature**2 / len(labels)
    tckd = scale * F.kl_div(binary_s, binary_t, reduction="sum", log_target=True)
    nckd = scale * F.kl_div(others_s, others_t, reduction="sum")
    return tckd, nckd


def _decoupled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of (true, not true), and of each class given that it is not true.

    The latter hold the lowest finite number for the true class: zero times it is zero, unlike -inf.
    """
    true = labels[:, None]
    log_p = F.log_softmax(logits, dim=1)
    others = log_p.scatter(1, true, torch.finfo(log_p.dtype).min)
    rest = others.logsumexp(1, keepdim=True)
    return torch.cat([log_p.gather(1, true), rest], dim=1), others - rest


def _few_classes(n_classes: int) -> str:
    return (
        "The method 'dkd' compares the distributions over the classes other than the true one and "
        f"needs at least 3 classes. Got {n_classes}. Use 'kd'."
    )


class DKD(LossMethod):
    r"""Decoupled distillation: weight the classes other than the true one independently.

    :math:`L = CE(z_s, y) + w (\alpha\,TCKD + \beta\,NCKD)`, with w rising linearly from zero to one
    at the beginning. The terms are logged as ``"dkd target"`` and ``"dkd others"``. Without labels
    the teacher's prediction is the true class.

    Parameters
    ----------
    temperature : float, default=4.0
        T.
    target_weight : float, default=1.0
        α.
    other_weight : float, default=8.0
        β. The paper finds the best between 1 and 10, higher for more confident teachers.
    warmup : float, default=1/12
        Share of the training in which w rises: 20 of 240 epochs in the paper.
    standardize : bool, default=False
        Whether to apply `standardize_logits` first, after Sun et al. (2024), who then use
        temperature 2 and both weights nine times as high.

    References
    ----------
    Zhao, Cui, Song, Qiu and Liang (2022), "Decoupled knowledge distillation", arXiv:2203.08679,
    section 3; warm-up as in its experiments.
    """

    key = "dkd"
    title = "Decoupled distillation"
    paper = Paper(
        "Zhao, Cui, Song, Qiu and Liang",
        2022,
        "Decoupled knowledge distillation",
        "CVPR",
        "arXiv:2203.08679",
    )
    needs = frozenset({"teacher", "data"})
    _zero_when_equal = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "target_weight": [Interval(Real, 0, None, closed="left")],
        "other_weight": [Interval(Real, 0, None, closed="left")],
        "warmup": [Interval(Real, 0, 1, closed="both")],
        "standardize": ["boolean"],
    }

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"warmup": 0.0}

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        target_weight: float = 1.0,
        other_weight: float = 8.0,
        warmup: float = 1 / 12,
        standardize: bool = False,
    ) -> None:
        self.temperature = temperature
        self.target_weight = target_weight
        self.other_weight = other_weight
        self.warmup = warmup
        self.standardize = standardize

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if the number of classes is below three."""
        if lesson.n_classes < 3:
            raise ValueError(_few_classes(lesson.n_classes))

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return both divergences."""
        assert step.teacher is not None
        student, teacher = step.student.logits, step.teacher.logits
        labels = step.batch.labels
        if labels is None:
            labels = teacher.argmax(1)
        if self.standardize:
            student, teacher = standardize_logits(student), standardize_logits(teacher)
        tckd, nckd = dkd_losses(student, teacher, labels, self.temperature)
        rise = min(1.0, step.batch.progress / self.warmup) if self.warmup else 1.0
        return {
            "target": rise * self.target_weight * tckd,
            "others": rise * self.other_weight * nckd,
        }
