"""Boundary-supporting samples: rows pushed to where the teacher changes its mind."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper, Terms
from soft_students.methods.kd import kd_loss
from soft_students.methods.lesson import Lesson, Step

__all__ = ["BSS", "base_rows", "boundary_samples", "target_classes"]

#: The authors clamp standardised inputs to [-2.5, 2.5]; steps are in units of a fifth of the range.
_RANGE_OF_STANDARDISED = 5.0
_OVERSHOOT = 1e-4


def base_rows(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    most: int = 64,
) -> Tensor:
    r"""Return the rows to start from: known to both, and yet seen differently.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
    labels : Tensor of int64, shape (n,)
    most : int, default=64
        How many rows at most: of those on which student and teacher are right, the ones of the
        largest :math:`\sum_{c \ne y} (p_t - p_s)_c^2`.

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
    """Draw for each row a class that is not the likeliest, by the teacher's probabilities.

    Parameters
    ----------
    teacher_logits : Tensor of shape (n, n_classes)
    generator : torch.Generator
        On the CPU.

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
    r"""Push inputs towards other classes, until the teacher changes its mind.

    :math:`x \leftarrow clamp(x + \eta (z_b - z_k + 10^{-4}) \nabla (z_k - z_b) / \|\nabla\|_2)`,
    with b the class of the input and k its target.

    Parameters
    ----------
    teacher : callable
        From inputs to logits; gradients flow through it.
    inputs : Tensor of shape (n, ...)
    targets : Tensor of int64, shape (n,)
    input_range : tuple of float
        To which inputs are clamped. A fifth of its width is the unit of `step_size`: the authors'
        inputs are standardised, in [-2.5, 2.5].
    step_size : float, default=0.3
        η.
    n_steps : int, default=10
        At most.

    Returns
    -------
    Tensor of shape (n, ...)
        Without gradients. An input stays where it is once the teacher chooses another class than b,
        and where the gradient is zero.

    References
    ----------
    Heo, Lee, Yun and Choi (2019), "Knowledge distillation with adversarial samples supporting
    decision boundary", arXiv:1805.05532, section 3; as in the authors' code, whose norm is not
    squared.
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
        if len(still) < len(moving):  # the teacher need not see the others again
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
    r"""Boundary-supporting samples: the student learns where the teacher's decision changes.

    :math:`L = CE(z_s, y) + r_1 KD(x) + r_2 KD(x_b)`, with KD the divergence at temperature T
    without the factor T², and :math:`x_b` made by an adversarial attack on the teacher, from up to
    `n_samples` rows of each batch. Over the training, from e = 0 to 1, :math:`r_1 = 1 + 3 (1 - e)`
    and :math:`r_2` falls from `weight` to zero at e = 3/4, from where on no samples are made. The
    student sees the samples as a second batch, of which batch normalisation takes note, as in the
    authors' code.

    Parameters
    ----------
    weight : float, default=2.0
        r₂ at the beginning.
    kd_weight : float, default=1.0
        Times r₁.
    temperature : float, default=3.0
        T.
    n_samples : int, default=64
        Most samples of a batch; see `base_rows`.
    step_size : float, default=0.3
        η; see `boundary_samples`.
    n_steps : int, default=10
        Most steps of the attack.

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
        """Refuse a teacher that no gradient can pass."""
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
        said = step.teacher.logits
        labels = said.argmax(1) if step.batch.labels is None else step.batch.labels
        rows = base_rows(step.student.logits, said, labels, self.n_samples)
        if not len(rows):
            return step.student.logits.sum() * 0
        if len(rows) == 1:
            rows = rows.repeat(2)  # a mean of two equals; batch normalisation cannot stand one row
        samples = boundary_samples(
            lesson.teacher.logits_of,
            step.batch.inputs[rows],
            target_classes(said[rows], lesson.generator),
            lesson.input_range,
            self.step_size,
            self.n_steps,
        )
        with torch.no_grad():
            wanted = lesson.teacher.logits_of(samples)
        return self._kd(step.see(samples), wanted)

    def _kd(self, student: Tensor, teacher: Tensor) -> Tensor:
        return kd_loss(student, teacher, self.temperature) / self.temperature**2
