"""Boundary-supporting samples: rows moved across the teacher's decision boundary."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.kd import kd_loss
from soft_students.methods.lesson import Lesson, Step
from soft_students.sklearn_private import Interval
from soft_students.training.stages import Terms

__all__ = ["BSS", "base_rows", "boundary_samples", "target_classes"]

#: Width of [-2.5, 2.5], to which the authors clamp standardised inputs: the step is scaled by it.
_RANGE_OF_STANDARDISED = 5.0
_OVERSHOOT = 1e-4


def base_rows(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    most: int = 64,
) -> Tensor:
    r"""Select rows that both networks classify correctly but with different probabilities.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
    labels : Tensor of int64, shape (n,)
    most : int, default=64
        Maximum number of rows. Among the rows that student and teacher classify correctly, those
        with the largest :math:`\sum_{c \ne y} (p_t - p_s)_c^2` are taken.

    Returns
    -------
    Tensor of int64, shape (at most `most`,)

    References
    ----------
    Heo, Lee, Yun and Choi (2019), "Knowledge distillation with adversarial samples supporting
    decision boundary", arXiv:1805.05532, section 3.
    """
    with torch.no_grad():
        known = (teacher_logits.argmax(1) == labels) & (student_logits.argmax(1) == labels)
        rows = known.nonzero().flatten()
        difference = (teacher_logits[rows].softmax(1) - student_logits[rows].softmax(1)).square()
        score = difference.scatter(1, labels[rows, None], 0.0).sum(1)
        return rows[score.topk(min(most, len(rows))).indices]


def target_classes(teacher_logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a class other than the most probable for each row, by the teacher's probabilities.

    Parameters
    ----------
    teacher_logits : Tensor of shape (n, n_classes)
    generator : torch.Generator
        A generator on the CPU.

    Returns
    -------
    Tensor of int64, shape (n,)
    """
    logits = teacher_logits.detach().float()
    others = logits.scatter(1, logits.argmax(1, keepdim=True), -torch.inf)
    uniform = torch.rand(logits.shape, generator=generator).clamp_min(1e-20).to(logits.device)
    # the largest of log p plus Gumbel noise is distributed as p, even where p rounds to zero
    return (others - (-uniform.log()).log()).argmax(1)


def boundary_samples(
    teacher: Callable[[Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    input_range: tuple[float, float],
    step_size: float = 0.3,
    n_steps: int = 10,
) -> Tensor:
    r"""Move inputs towards other classes until the teacher's decision changes.

    :math:`x \leftarrow clamp(x + \eta (z_b - z_k + 10^{-4}) \nabla (z_k - z_b) / \|\nabla\|_2)`,
    with b the class of the input and k its target.

    Parameters
    ----------
    teacher : callable
        Differentiable function from inputs to logits.
    inputs : Tensor of shape (n, ...)
    targets : Tensor of int64, shape (n,)
    input_range : tuple of float
        Smallest and largest input; inputs are clamped to it. A fifth of its width is the unit of
        `step_size`, since the authors' inputs are standardised, in [-2.5, 2.5].
    step_size : float, default=0.3
        η.
    n_steps : int, default=10
        Maximum number of steps.

    Returns
    -------
    Tensor of shape (n, ...)
        The moved inputs, without gradients. An input stops where the teacher's class is not b, or
        the gradient is zero.

    References
    ----------
    Heo, Lee, Yun and Choi (2019), "Knowledge distillation with adversarial samples supporting
    decision boundary", arXiv:1805.05532, section 3. The norm is not squared, as in the authors'
    code.
    """
    low, high = input_range
    unit = step_size * (high - low) / _RANGE_OF_STANDARDISED
    found = inputs.detach().clone()
    x, moving = found, torch.arange(len(found), device=found.device)
    bases: Tensor | None = None
    for _ in range(n_steps):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            logits = teacher(x)
            chosen = logits.argmax(1)
            bases = chosen if bases is None else bases
            still = (chosen == bases).nonzero().flatten()
            if not len(still):
                break
            ahead = logits.gather(1, targets[:, None]) - logits.gather(1, bases[:, None])
            (gradient,) = torch.autograd.grad(ahead.sum(), x)
        x, ahead = x.detach(), ahead.detach()
        if len(still) < len(moving):  # finished rows need no further pass
            found[moving] = x
            x, moving, bases, targets = x[still], moving[still], bases[still], targets[still]
            gradient, ahead = gradient[still], ahead[still]
        direction = gradient.flatten(1)
        length = torch.linalg.vector_norm(direction, dim=1, keepdim=True)
        scale = unit * (_OVERSHOOT - ahead) / torch.where(length > 0, length, 1)
        x = (x + (direction * scale).view_as(x)).clamp_(low, high)
    found[moving] = x.detach()
    return found


class BSS(LossMethod):
    r"""Boundary-supporting samples: distil on rows near the teacher's decision boundary.

    :math:`L = CE(z_s, y) + r_1 KD(x) + r_2 KD(x_b)`, with KD the divergence at temperature T
    without the factor T². An adversarial attack on the teacher makes :math:`x_b` from up to
    `n_samples` rows of each batch. As the progress e goes from 0 to 1, :math:`r_1 = 1 + 3 (1 - e)`,
    and :math:`r_2` falls from `weight` to zero at e = 3/4, after which no samples are made. The
    samples pass through the student as a second batch that counts in the statistics of batch
    normalisation, as in the authors' code.

    Parameters
    ----------
    weight : float, default=2.0
        r₂ at the beginning.
    kd_weight : float, default=1.0
        Factor of r₁.
    temperature : float, default=3.0
        T.
    n_samples : int, default=64
        Maximum number of samples per batch; see `base_rows`.
    step_size : float, default=0.3
        η; see `boundary_samples`.
    n_steps : int, default=10
        Maximum number of steps of the attack.

    References
    ----------
    Heo, Lee, Yun and Choi (2019), "Knowledge distillation with adversarial samples supporting
    decision boundary", arXiv:1805.05532, section 3.
    """

    key = "bss"
    title = "Boundary-supporting samples"
    paper = Paper(
        "Heo, Lee, Yun and Choi",
        2019,
        "Knowledge distillation with adversarial samples supporting decision boundary",
        "AAAI",
        "arXiv:1805.05532",
    )
    needs = frozenset({"teacher", "network", "data"})
    _order_matters = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "kd_weight": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "step_size": [Interval(Real, 0, None, closed="neither")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        weight: float = 2.0,
        kd_weight: float = 1.0,
        temperature: float = 3.0,
        n_samples: int = 64,
        step_size: float = 0.3,
        n_steps: int = 10,
    ) -> None:
        self.weight = weight
        self.kd_weight = kd_weight
        self.temperature = temperature
        self.n_samples = n_samples
        self.step_size = step_size
        self.n_steps = n_steps

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if the teacher is not a PyTorch module."""
        if lesson.teacher is not None:
            lesson.teacher.require_network(self.key)

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the divergences on the batch and on the samples made from it."""
        assert step.teacher is not None
        gone = step.batch.progress
        clean = self._kd(step.student.logits, step.teacher.logits)
        supporting = self.weight * max(1 - gone * 4 / 3, 0)
        return {
            "bss": supporting * self._on_samples(step)
            if supporting
            else torch.zeros((), device=step.batch.inputs.device),
            "soft targets": self.kd_weight * (1 + 3 * (1 - gone)) * clean,
        }

    def _on_samples(self, step: Step) -> Tensor:
        assert step.teacher is not None
        lesson = step.lesson
        assert lesson.teacher is not None
        teacher_logits = step.teacher.logits
        labels = teacher_logits.argmax(1) if step.batch.labels is None else step.batch.labels
        rows = base_rows(step.student.logits, teacher_logits, labels, self.n_samples)
        if not len(rows):
            return step.student.logits.sum() * 0
        if len(rows) == 1:
            rows = rows.repeat(2)  # same mean; batch normalisation needs two rows
        samples = boundary_samples(
            lesson.teacher.logits_of,
            step.batch.inputs[rows],
            target_classes(teacher_logits[rows], lesson.generator),
            lesson.input_range,
            self.step_size,
            self.n_steps,
        )
        with torch.no_grad():
            wanted = lesson.teacher.logits_of(samples)
        return self._kd(step.see(samples), wanted)

    def _kd(self, student: Tensor, teacher: Tensor) -> Tensor:
        return kd_loss(student, teacher, self.temperature) / self.temperature**2
