"""Contrastive representation distillation: match each row's features among those of other rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.gram import unit
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.observation import peek
from soft_students.training.stages import Terms

__all__ = ["CRD", "crd_loss"]

VARIANTS = ("reference", "paper")


def crd_loss(scores: Tensor, n_rows: int) -> Tensor:
    r"""Return the noise-contrastive loss of one positive against k negatives.

    With :math:`h(a) = e^a / (e^a + k / N)` the loss is :math:`-\log h(a_0) - \sum_{j=1}^k \log (1 -
    h(a_j))`, the mean over rows. It is computed in logarithms, so large scores do not overflow.

    Parameters
    ----------
    scores : Tensor of shape (n, 1 + k)
        a: similarity / temperature, minus the logarithm of the normaliser if one is used. The
        positive comes first.
    n_rows : int
        N, the number of rows from which negatives are drawn.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Tian, Krishnan and Isola (2020), "Contrastive representation distillation", arXiv:1910.10699,
    section 3; equation 18.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import crd_loss
    >>> scores = torch.tensor([[0.0, 0.0, 0.0]])
    >>> round(float(crd_loss(scores, n_rows=2)), 4)  # h is 1/2 throughout: 3 log 2
    2.0794
    """
    odds = scores - math.log((scores.shape[1] - 1) / n_rows)
    # -log h = softplus(-odds) = softplus(odds) - odds
    return (F.softplus(odds).sum() - odds[:, 0].sum()) / len(scores)


class Negatives:
    """Draws rows of other classes.

    Parameters
    ----------
    labels : Tensor of int64, shape (n_rows,)
    """

    def __init__(self, labels: Tensor) -> None:
        labels = labels.cpu()
        classes, number, sizes = labels.unique(return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise ValueError(
                "The method 'crd' contrasts each row with rows of other classes and needs at least "
                f"2 classes among the labels. Got {len(classes)}."
            )
        self._order = number.argsort(stable=True)  # rows, sorted by class
        self._sizes = sizes[number]
        self._starts = (sizes.cumsum(0) - sizes)[number]

    def draw(self, rows: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """Return k rows of other classes for each row, uniform and with replacement."""
        sizes, starts = self._sizes[rows, None], self._starts[rows, None]
        share = torch.rand(len(rows), k, generator=generator)
        others = len(self._order) - sizes
        places = (share * others).long().minimum(others - 1)  # rounding may give `others`
        places += sizes * (places >= starts)  # skip the row's own class
        return self._order[places]


class ContrastiveMemory(nn.Module):
    """Linear maps of both networks' features into one space, and the last vectors of every row.

    The state of the module holds all but the negatives, so that checkpoints include it.

    Parameters
    ----------
    student_size, teacher_size : int
        Sizes of the features.
    size : int
        Size of the common space.
    labels : Tensor of int64, shape (n_rows,)
    """

    student_memory: Tensor
    teacher_memory: Tensor
    log_normalizers: Tensor

    def __init__(self, student_size: int, teacher_size: int, size: int, labels: Tensor) -> None:
        super().__init__()
        self.student_map = nn.Linear(student_size, size)
        self.teacher_map = nn.Linear(teacher_size, size)
        bound = math.sqrt(3 / size)  # mean squared length one
        for name in ("student_memory", "teacher_memory"):
            self.register_buffer(name, torch.empty(len(labels), size).uniform_(-bound, bound))
        # for the student's and the teacher's anchors; estimated on the first batch
        self.register_buffer("log_normalizers", torch.full((2,), torch.nan))
        self.negatives = Negatives(labels)


class CRD(LossMethod):
    r"""Contrastive representation distillation: recognise a row by the other network's features.

    Linear maps take both embeddings to unit vectors of one space. There the student's vector of a
    row is contrasted: it should match the teacher's vector of the same row, not those of k rows of
    other classes. The same holds with the roles exchanged. The vectors of other rows come from
    memories with one entry per training row, updated by a moving average. Distorted rows keep their
    entry.

    Parameters
    ----------
    weight : float, default=0.8
        β.
    size : int, default=128
        Size of the common space.
    n_negatives : int, default=16384
        k. Drawn with replacement, which the authors do only where fewer rows are left.
    temperature : float, default=0.07
        τ.
    momentum : float, default=0.5
        Share of a memory's old value in its update.
    variant : {"reference", "paper"}, default="reference"
        "reference", the authors' code: scores are divided by a normaliser, N times the mean score
        of the first batch. "paper": no normaliser. The published results are those of the code.
    student_layers, teacher_layers : sequence of str, default=None
        One layer each. None takes the input of the last linear layer.

    References
    ----------
    Tian, Krishnan and Isola (2020), "Contrastive representation distillation", arXiv:1910.10699.
    """

    key = "crd"
    title = "Contrastive representation distillation"
    paper = Paper(
        "Tian, Krishnan and Isola",
        2020,
        "Contrastive representation distillation",
        "ICLR",
        "arXiv:1910.10699",
    )
    needs = frozenset({"teacher", "network", "data"})
    looks_at = "embedding"
    _order_matters = True

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"n_negatives": 8, "size": 16}

    def __init__(
        self,
        *,
        weight: float = 0.8,
        size: int = 128,
        n_negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
        variant: str = "reference",
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.size = size
        self.n_negatives = n_negatives
        self.temperature = temperature
        self.momentum = momentum
        self.variant = variant
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    @property
    def needs_all_rows(self) -> bool:
        """Whether all rows must be in memory: yes, each has an entry in the memories."""
        return True

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if a parameter is invalid."""
        if self.variant not in VARIANTS:
            raise ValueError(f"The variant of crd must be one of {VARIANTS}. Got {self.variant!r}.")
        if self.n_negatives < 1:
            raise ValueError(f"The n_negatives of crd must be at least 1. Got {self.n_negatives}.")
        if not self.temperature > 0:
            raise ValueError(f"The temperature of crd must be positive. Got {self.temperature}.")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"The momentum of crd must be in [0, 1). Got {self.momentum}.")

    def adapter(self, lesson: Lesson, network: nn.Module) -> nn.Module:
        """Return the maps and the memories."""
        ours, theirs = self.layers(lesson, network)
        if len(ours) != 1:
            raise ValueError(f"The method 'crd' compares one layer of each network. Got {ours}.")
        assert lesson.teacher is not None
        there = lesson.teacher.require_network(self.key)
        student, teacher = (
            peek(side, lesson.example(), names).features[0][0].numel()
            for side, names in ((network, ours), (there, theirs))
        )
        return ContrastiveMemory(student, teacher, self.size, lesson.labels())

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sum of both directions, and update the memories."""
        assert isinstance(adapter, ContrastiveMemory)
        assert step.teacher is not None
        index = step.batch.index
        if index is None:
            raise ValueError(
                "The method 'crd' needs each input's training row, but the inputs of this "
                "batch are mixed from several or come from none. Leave 'crd' out, or distort rows "
                "one by one."
            )
        student = unit(adapter.student_map(step.student.features[0].flatten(1)))
        teacher = unit(adapter.teacher_map(step.teacher.features[0].flatten(1)))
        drawn = adapter.negatives.draw(index.cpu(), self.n_negatives, step.lesson.generator)
        rows = torch.cat([index.cpu()[:, None], drawn], dim=1).to(student.device)
        loss = student.new_zeros(())
        for i, (anchors, memory) in enumerate(
            ((student, adapter.teacher_memory), (teacher, adapter.student_memory))
        ):
            scores = similarities(anchors, memory, rows) / self.temperature
            if self.variant == "reference":
                mean = scores.detach().float().flatten().logsumexp(0) - math.log(scores.numel())
                known = adapter.log_normalizers[i]
                known.copy_(torch.where(known.isnan(), mean + math.log(len(memory)), known))
                scores = scores - known
            loss = loss + crd_loss(scores, len(memory))
        with torch.no_grad():
            for memory, vectors in (
                (adapter.student_memory, student),
                (adapter.teacher_memory, teacher),
            ):
                rows = index.to(memory.device)
                mixed = torch.lerp(vectors.to(memory.dtype), memory[rows], self.momentum)
                memory[rows] = unit(mixed)
        return {"crd": self.weight * loss}


def similarities(anchors: Tensor, memory: Tensor, rows: Tensor) -> Tensor:
    """Return the inner products of each anchor with its own selection of rows of a memory.

    Parameters
    ----------
    anchors : Tensor of shape (n, size)
    memory : Tensor of shape (n_rows, size)
        Gets no gradient and may be changed afterwards.
    rows : Tensor of int64, shape (n, k)

    Returns
    -------
    Tensor of shape (n, k)
    """
    if len(memory) <= 16 * rows.shape[1]:
        # the products with all rows take less memory than k gathered vectors per anchor
        return (anchors @ memory.clone().T).gather(1, rows)
    return torch.bmm(memory[rows], anchors[:, :, None])[:, :, 0]
