"""Conditional adversarial distillation: a discriminator learns the loss between logits."""

from __future__ import annotations

from collections.abc import Generator
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from soft_students.methods.base import Method, Objective, Paper
from soft_students.methods.lesson import Lesson
from soft_students.sklearn_private import Interval
from soft_students.training.batch import Batch
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["CGAN", "deception_loss", "discriminator_loss"]

_REAL, _FAKE = 0, 1  # the first two columns of a discriminator's output


def discriminator_loss(teacher: Tensor, student: Tensor, labels: Tensor) -> Tensor:
    r"""Return the discriminator's loss :math:`-\frac{1}{2} (L_A + L_{DS})`.

    :math:`L_A = \log P(real | z_t) + \log P(fake | z_s)` and
    :math:`L_{DS} = \log P(y | z_t) + \log P(y | z_s)`, means over rows.

    Parameters
    ----------
    teacher, student : Tensor of shape (n, 2 + n_classes)
        Outputs of the discriminator for the logits of each: logits of real and fake, then of the
        classes.
    labels : Tensor of int64, shape (n,)

    Returns
    -------
    Tensor
        A scalar, in nats.

    References
    ----------
    Xu, Hsu and Huang (2018), "Training shallow and thin networks for acceleration via knowledge
    distillation with conditional adversarial networks", arXiv:1709.00513, section 3.
    """
    source_t, classes_t = _parts(teacher)
    source_s, classes_s = _parts(student)
    known = F.cross_entropy(classes_t, labels) + F.cross_entropy(classes_s, labels)
    told_apart = F.cross_entropy(source_t, torch.full_like(labels, _REAL)) + F.cross_entropy(
        source_s, torch.full_like(labels, _FAKE)
    )
    return (told_apart + known) / 2


def deception_loss(student: Tensor, labels: Tensor) -> Tensor:
    r"""Return the part of :math:`\frac{1}{2} (L_A - L_{DS})` that depends on the student.

    Parameters
    ----------
    student : Tensor of shape (n, 2 + n_classes)
        See `discriminator_loss`.
    labels : Tensor of int64, shape (n,)

    Returns
    -------
    Tensor
        A scalar, in nats: low where the discriminator takes the student's logits for the teacher's
        and recognises the class.

    References
    ----------
    Xu, Hsu and Huang (2018), arXiv:1709.00513, section 3.
    """
    source, classes = _parts(student)
    caught = F.cross_entropy(source, torch.full_like(labels, _FAKE))
    return (F.cross_entropy(classes, labels) - caught) / 2


def _parts(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of real and fake, and those of the classes."""
    source, classes = seen.split([2, seen.shape[1] - 2], dim=1)
    return source, classes


def make_discriminator(n_classes: int, hidden: int) -> nn.Sequential:
    """Return three linear layers from a network's logits to those of real, fake and classes."""
    return nn.Sequential(
        nn.Linear(n_classes, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, 2 + n_classes),
    )


class CGAN(Method):
    r"""Conditional adversarial distillation: a discriminator separates student and teacher logits.

    The student minimises :math:`CE(z_s, y) + \|z_s - z_t\|_1 + \frac{1}{2} (L_A - L_{DS})`, the
    discriminator :math:`-\frac{1}{2} (L_A + L_{DS})`; see `discriminator_loss`. On every batch the
    discriminator steps first, then the student against the updated discriminator. Each batch needs
    one forward pass of the student.

    The paper's code is not public. Two details are our reading of the paper: classes and real/fake
    have a softmax each, and the width of the discriminator.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the adversarial loss.
    logit_weight : float, default=1.0
        Weight of the distance between logits, summed over classes and averaged over rows.
    hidden : int, default=128
        Units of each of the two hidden layers of the discriminator.

    References
    ----------
    Xu, Hsu and Huang (2018), "Training shallow and thin networks for acceleration via knowledge
    distillation with conditional adversarial networks", arXiv:1709.00513, section 3.
    """

    key = "cgan"
    title = "Conditional adversarial distillation"
    paper = Paper(
        "Xu, Hsu and Huang",
        2018,
        "Training shallow and thin networks for acceleration via knowledge distillation with "
        "conditional adversarial networks",
        "ICLR Workshop",
        "arXiv:1709.00513",
    )
    needs = frozenset({"teacher", "data"})
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "logit_weight": [Interval(Real, 0, None, closed="left")],
        "hidden": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, *, weight: float = 1.0, logit_weight: float = 1.0, hidden: int = 128
    ) -> None:
        self.weight = weight
        self.logit_weight = logit_weight
        self.hidden = hidden

    def stages(self, lesson: Lesson, objective: Objective) -> Generator[Stage, None, nn.Module]:
        """Yield one stage, in which discriminator and student step in turn."""
        teacher = lesson.teacher
        assert teacher is not None
        task = yield from objective.prepare(lesson.student)
        discriminator = make_discriminator(lesson.n_classes, self.hidden)
        # of the current batch: the student's terms and logits, the teacher's logits, the classes
        shared: list[Any] = []

        def discriminate(batch: Batch) -> Terms:
            terms, logits = task.with_logits(batch)
            teacher_logits = teacher.logits(batch)
            labels = teacher_logits.argmax(1) if batch.labels is None else batch.labels
            shared[:] = terms, logits, teacher_logits, labels
            seen = discriminator(teacher_logits), discriminator(logits.detach())
            return {"cgan discriminator": discriminator_loss(*seen, labels)}

        def learn(batch: Batch) -> Terms:
            terms, logits, teacher_logits, labels = shared
            # no gradient to the discriminator's weights
            fixed = {name: value.detach() for name, value in discriminator.named_parameters()}
            seen = functional_call(discriminator, fixed, (logits,))
            distance = (logits - teacher_logits).abs().sum(1).mean()
            return {
                **terms,
                "cgan": self.weight * deception_loss(seen, labels),
                "cgan logits": self.logit_weight * distance,
            }

        predictor = task.predictor
        yield Stage(
            self.key,
            [Player([discriminator], discriminate), Player(task.trains, learn)],
            batches=objective.batches(),
            selects=[predictor],
        )
        return predictor
