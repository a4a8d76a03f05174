"""Conditional adversarial distillation: the loss between logits is learned."""

from __future__ import annotations

from collections.abc import Generator
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from soft_students.methods.base import Method, Objective, Paper, Player, Stage, Terms
from soft_students.methods.batch import Batch
from soft_students.methods.lesson import Lesson

_REAL, _FAKE = 0, 1  # what the first two columns of a discriminator stand for


def discriminator_loss(teacher: Tensor, student: Tensor, labels: Tensor) -> Tensor:
    r"""Return :math:`-\frac{1}{2} (L_A + L_{DS})`, what a discriminator minimises.

    :math:`L_A = \log P(real | z_t) + \log P(fake | z_s)` and
    :math:`L_{DS} = \log P(y | z_t) + \log P(y | z_s)`, means over rows.

    Parameters
    ----------
    teacher, student : Tensor of shape (n, 2 + n_classes)
        What the discriminator gives for the logits of both: logits of real and fake, and then of
        the classes.
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
    r"""Return :math:`\frac{1}{2} (L_A - L_{DS})` without what the student has no part in.

    Parameters
    ----------
    student : Tensor of shape (n, 2 + n_classes)
        As in `discriminator_loss`.
    labels : Tensor of int64, shape (n,)

    Returns
    -------
    Tensor
        A scalar, in nats: low where the student passes for the teacher, and its class is seen.

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
    """Return three linear layers, from logits to real, fake and classes."""
    return nn.Sequential(
        nn.Linear(n_classes, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, 2 + n_classes),
    )


class CGAN(Method):
    r"""Conditional adversarial distillation: a discriminator learns what still tells logits apart.

    The student minimises :math:`CE(z_s, y) + \|z_s - z_t\|_1 + \frac{1}{2} (L_A - L_{DS})`, the
    discriminator :math:`-\frac{1}{2} (L_A + L_{DS})`; see `discriminator_loss`. On every batch the
    discriminator steps first and the student against the stepped one; the student sees the batch
    once.

    That the classes and the choice between real and fake have a softmax each, and the width of the
    discriminator, are our reading of the paper, whose code is not public.

    Parameters
    ----------
    weight : float, default=1.0
        Of the adversarial part.
    logit_weight : float, default=1.0
        Of the distance between logits: a sum over classes, the mean over rows.
    hidden : int, default=128
        Units in both hidden layers of the discriminator.

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
        shared: list[
            Any
        ] = []  # of this batch: the student's terms and logits, the teacher's, classes

        def discriminate(batch: Batch) -> Terms:
            terms, logits = task.with_logits(batch)
            said = teacher.logits(batch)
            labels = said.argmax(1) if batch.labels is None else batch.labels
            shared[:] = terms, logits, said, labels
            seen = discriminator(said), discriminator(logits.detach())
            return {"cgan discriminator": discriminator_loss(*seen, labels)}

        def learn(batch: Batch) -> Terms:
            terms, logits, said, labels = shared
            # its weights get no gradient here
            fixed = {name: value.detach() for name, value in discriminator.named_parameters()}
            seen = functional_call(discriminator, fixed, (logits,))
            distance = (logits - said).abs().sum(1).mean()
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
