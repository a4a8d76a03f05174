"""Correlation congruence: match the correlations between the rows of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.gram import cosines, gram
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.observation import peek
from soft_students.methods.samplers import ClassUniform, SuperclassUniform
from soft_students.training.batch import Batch, Sampler
from soft_students.training.stages import Terms

__all__ = ["CC", "cc_loss", "correlations"]

KERNELS = ("gaussian", "bilinear", "mmd")
SAMPLERS = ("class_uniform", "superclass_uniform", "shuffled")


def correlations(
    features: Tensor, kernel: str = "gaussian", gamma: float = 0.4, order: int = 2
) -> Tensor:
    r"""Return the correlation of each row with each other row, as a kernel of their features.

    Parameters
    ----------
    features : Tensor of shape (n, ...)
        Features of n rows; each row is flattened.
    kernel : {"gaussian", "bilinear", "mmd"}, default="gaussian"
        "gaussian": :math:`e^{-γ \|f_i - f_j\|^2}` of features scaled to unit length, by its Taylor
        series :math:`\sum_{p=0}^P e^{-2γ} (2γ)^p / p!\, (f_i^\top f_j)^p`. "bilinear":
        :math:`f_i^\top f_j`. "mmd": the absolute difference between the two rows' means over the
        features, our reading of the paper's MMD between two rows.
    gamma : float, default=0.4
        γ of "gaussian".
    order : int, default=2
        P of "gaussian".

    Returns
    -------
    Tensor of shape (n, n)
    """
    if kernel == "gaussian":
        similarities = cosines(features)
        total = torch.full_like(similarities, (2 * gamma) ** order / math.factorial(order))
        for p in reversed(range(order)):  # Horner's scheme
            total = total * similarities + (2 * gamma) ** p / math.factorial(p)
        return math.exp(-2 * gamma) * total
    if kernel == "bilinear":
        return gram(features)
    if kernel == "mmd":
        means = features.flatten(1).mean(1)
        return (means.unsqueeze(1) - means).abs()
    raise ValueError(f"The kernel of cc must be one of {KERNELS}. Got {kernel!r}.")


def cc_loss(
    student: Tensor,
    teacher: Tensor,
    kernel: str = "gaussian",
    gamma: float = 0.4,
    order: int = 2,
) -> Tensor:
    r"""Return :math:`\|ψ(F_t) - ψ(F_s)\|_F^2 / n^2`, with ψ the correlations between rows.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Each row is flattened; the sizes may differ. No gradient flows to the teacher's.
    kernel, gamma, order
        See `correlations`.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Peng et al. (2019), "Correlation congruence for knowledge distillation", arXiv:1904.01802.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import cc_loss
    >>> features = torch.tensor([[1.0, 2.0], [0.0, 1.0], [0.0, 0.0]])
    >>> float(cc_loss(features, 2 * features))
    0.0
    """
    wanted = correlations(teacher.detach(), kernel, gamma, order)
    return F.mse_loss(correlations(student, kernel, gamma, order), wanted)


class CC(LossMethod):
    """Correlation congruence: the student reproduces the teacher's correlations between rows.

    The paper combines it with soft targets: ``"cc,kd"``. If the embeddings differ in size, a linear
    map of the student's is trained. The teacher's has none: otherwise both could shrink to a point,
    with zero loss.

    Parameters
    ----------
    weight : float, default=0.02
        β. The paper takes 0.003 on CIFAR-100; RepDistiller 0.02, for another loss that it has from
        the authors. With "gaussian" the loss is far below one, so either weight contributes little
        beside labels.
    kernel : {"gaussian", "bilinear", "mmd"}, default="gaussian"
        See `correlations`.
    gamma : float, default=0.4
        γ of "gaussian".
    order : int, default=2
        Last power of the Taylor series of "gaussian".
    sampler_kind : {"class_uniform", "superclass_uniform", "shuffled"}, default="class_uniform"
        "class_uniform": batches have `per_class` rows of each of their classes.
        "superclass_uniform": the same with superclasses, clusters of the teacher's features.
        "shuffled": batches ignore classes.
    per_class : int, default=4
        Rows of one class in a batch.
    n_superclasses : int, default=None
        Number of superclasses. None takes the number of classes.
    student_layers, teacher_layers : sequence of str, default=None
        Layers, in pairs. None takes the input of the last linear layer.

    References
    ----------
    Peng et al. (2019), "Correlation congruence for knowledge distillation", arXiv:1904.01802.
    """

    key = "cc"
    title = "Correlation congruence"
    paper = Paper(
        "Peng, Jin, Liu, Zhou, Wu, Liu, Li and Zhang",
        2019,
        "Correlation congruence for knowledge distillation",
        "ICCV",
        "arXiv:1904.01802",
    )
    needs = frozenset({"teacher", "network", "data"})
    looks_at = "embedding"
    _zero_when_equal = True

    def __init__(
        self,
        *,
        weight: float = 0.02,
        kernel: str = "gaussian",
        gamma: float = 0.4,
        order: int = 2,
        sampler_kind: str = "class_uniform",
        per_class: int = 4,
        n_superclasses: int | None = None,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.kernel = kernel
        self.gamma = gamma
        self.order = order
        self.sampler_kind = sampler_kind
        self.per_class = per_class
        self.n_superclasses = n_superclasses
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    @property
    def needs_all_rows(self) -> bool:
        """Whether all rows must be in memory: yes, to sample batches by class."""
        return self.sampler_kind != "shuffled"

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if a parameter is invalid."""
        if self.kernel not in KERNELS:
            raise ValueError(f"The kernel of cc must be one of {KERNELS}. Got {self.kernel!r}.")
        if self.sampler_kind not in SAMPLERS:
            raise ValueError(
                f"The sampler_kind of cc must be one of {SAMPLERS}. Got {self.sampler_kind!r}."
            )
        if self.order < 0:
            raise ValueError(f"The order of cc must be at least 0. Got {self.order}.")

    def adapter(self, lesson: Lesson, network: nn.Module) -> nn.Module | None:
        """Return linear maps from the student's to the teacher's size, where these differ."""
        ours, theirs = self.layers(lesson, network)
        example = lesson.example()
        assert lesson.teacher is not None
        there = lesson.teacher.require_network(self.key)
        sizes = zip(_sizes(network, example, ours), _sizes(there, example, theirs), strict=True)
        maps = [nn.Identity() if s == t else nn.Linear(s, t) for s, t in sizes]
        return nn.ModuleList(maps) if any(isinstance(m, nn.Linear) for m in maps) else None

    def sampler(self, lesson: Lesson) -> Sampler | None:
        """Return the sampler of `sampler_kind`."""
        if self.sampler_kind == "shuffled":
            return None
        weights = lesson.training_data().weights
        if self.sampler_kind == "class_uniform":
            return ClassUniform(lesson.labels(), lesson.batch_size, self.per_class, weights)
        return SuperclassUniform(
            self._teacher_features(lesson),
            lesson.batch_size,
            self.per_class,
            self.n_superclasses or lesson.n_classes,
            random_state=int(torch.randint(2**31 - 1, (), generator=lesson.generator)),
            weights=weights,
        )

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sum over layers."""
        assert step.teacher is not None
        losses = []
        for i, (student, teacher) in enumerate(
            zip(step.student.features, step.teacher.features, strict=True)
        ):
            if isinstance(adapter, nn.ModuleList):
                student = adapter[i](student.flatten(1))
            losses.append(cc_loss(student, teacher, self.kernel, self.gamma, self.order))
        return {"cc": self.weight * torch.stack(losses).sum()}

    def _teacher_features(self, lesson: Lesson) -> Tensor:
        """Return the activations of the teacher's deepest compared layer for all rows."""
        _, theirs = self.layers(lesson, lesson.student)
        inputs = lesson.training_data().inputs
        assert lesson.teacher is not None
        parts = []
        for rows in torch.arange(len(inputs)).split(512):
            batch = Batch(inputs[rows].to(lesson.device), None, rows)
            parts.append(lesson.teacher.observe(batch, theirs[-1:]).features[0].flatten(1).cpu())
        return torch.cat(parts)


def _sizes(network: nn.Module, example: Tensor, layers: Sequence[str]) -> list[int]:
    return [feature[0].numel() for feature in peek(network, example, layers).features]
