"""Data-distortion guided self-distillation: consistent predictions for two views of a row."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.sklearn_private import Interval
from soft_students.training.batch import Shuffled
from soft_students.training.stages import Terms
from soft_students.transfer import GaussianNoise, ImageDistortion, Transfer

__all__ = ["DDGSD", "view_discrepancy", "view_divergence"]


def view_divergence(logits: Tensor) -> Tensor:
    r"""Return :math:`KL(p_a \| p_b) + KL(p_b \| p_a)`, the mean over pairs of views.

    Parameters
    ----------
    logits : Tensor of shape (2 * n, n_classes)
        Logits of the first views of n rows, then of their second views. A last row without a second
        view is ignored. Gradients flow to both.

    Returns
    -------
    Tensor
        A scalar, in nats; zero if no pair exists.

    References
    ----------
    Xu and Liu (2019), "Data-distortion guided self-distillation for deep neural networks", AAAI,
    doi:10.1609/aaai.v33i01.33015565, section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import view_divergence
    >>> float(view_divergence(torch.tensor([[1.0, 2.0], [1.0, 2.0]])))
    0.0
    """
    n = len(logits) // 2
    if n == 0:
        return logits.sum() * 0
    log_p = F.log_softmax(logits, dim=1)
    log_a, log_b = log_p[:n], log_p[n : 2 * n]
    # both directions at once: sum of (p_a - p_b) (log p_a - log p_b)
    return ((log_a.exp() - log_b.exp()) * (log_a - log_b)).sum(1).mean()


def view_discrepancy(features: Tensor) -> Tensor:
    r"""Return :math:`\|\bar h_a - \bar h_b\|^2` of the mean embeddings of two views of a batch.

    Parameters
    ----------
    features : Tensor of shape (2 * n, n_features)
        Embeddings, ordered as in `view_divergence`.

    Returns
    -------
    Tensor
        A scalar: the squared maximum mean discrepancy with a linear kernel.

    References
    ----------
    Xu and Liu (2019), "Data-distortion guided self-distillation for deep neural networks", AAAI,
    doi:10.1609/aaai.v33i01.33015565, section 3.
    """
    n = len(features) // 2
    if n == 0:
        return features.sum() * 0
    first, second = features.split(n)[:2]
    difference = first.mean(0) - second.mean(0)
    return torch.dot(difference, difference)


class TwoViews:
    """Sample every row once per pass, in random order, and put it into its batch twice.

    With weights, each row is drawn in proportion to its weight.

    Parameters
    ----------
    n_rows, batch_size : int
        A batch has two views of each of `batch_size` rows: all first views, then all second views
        in the same order.
    weights : Tensor of shape (n_rows,), default=None
    """

    def __init__(self, n_rows: int, batch_size: int, weights: Tensor | None = None) -> None:
        self._rows = Shuffled(n_rows, batch_size, weights)

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch, of shape (2, number of rows)."""
        for rows in self._rows.batches(generator):
            yield rows.expand(2, -1)


class DDGSD(LossMethod):
    r"""Data-distortion guided self-distillation: distil two distorted views of a row mutually.

    :math:`L = CE_a + CE_b + \lambda (KL(p_a \| p_b) + KL(p_b \| p_a)) + \mu \|\bar h_a - \bar
    h_b\|^2`, with h the input of the last linear layer. Needs no teacher.

    Both views pass through the student as one batch, so batch normalisation uses the statistics of
    both. The label term is the mean over both views, not the sum, and λ and μ are divided by two
    accordingly. The loss is thus half of the paper's, and learning rate and weights compare with
    those of other methods.

    Parameters
    ----------
    weight : float, default=1.0
        λ.
    discrepancy_weight : float, default=0.0005
        μ.
    distortion : Transfer, default=None
        The distortion that makes the views. None takes the student's `augment`. If that is None
        too, images are slightly rotated, scaled and moved, and rows of tables get a little noise.
    student_layers : sequence of str, default=None
        The one layer whose output is h; feature maps are averaged over their pixels.

    References
    ----------
    Xu and Liu (2019), "Data-distortion guided self-distillation for deep neural networks", AAAI,
    doi:10.1609/aaai.v33i01.33015565, section 3.
    """

    key = "ddgsd"
    title = "Data-distortion guided self-distillation"
    paper = Paper(
        "Xu and Liu",
        2019,
        "Data-distortion guided self-distillation for deep neural networks",
        "AAAI",
        "doi:10.1609/aaai.v33i01.33015565",
    )
    needs = frozenset({"data", "distortions"})
    looks_at = "embedding"
    _order_matters = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "discrepancy_weight": [Interval(Real, 0, None, closed="left")],
        "distortion": [Transfer, None],
        "student_layers": ["array-like", None],
    }

    def __init__(
        self,
        *,
        weight: float = 1.0,
        discrepancy_weight: float = 5e-4,
        distortion: Transfer | None = None,
        student_layers: list[str] | None = None,
    ) -> None:
        self.weight = weight
        self.discrepancy_weight = discrepancy_weight
        self.distortion = distortion
        self.student_layers = student_layers

    @property
    def needs_all_rows(self) -> bool:
        """Whether all rows must be in memory: yes, to sample each of them twice."""
        return True

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if the distortion changes labels, or several layers are named."""
        made_by = self.augment(lesson) or lesson.augment
        if made_by is not None and not made_by.keeps_labels:
            raise ValueError(
                "The method 'ddgsd' needs distortions that keep a row's label. Got "
                f"{type(made_by).__name__}; use ImageDistortion or GaussianNoise."
            )
        if self.student_layers is not None and len(self.student_layers) != 1:
            raise ValueError(
                "The 'student_layers' parameter of DDGSD must name one layer. Got "
                f"{list(self.student_layers)!r} instead."
            )

    def sampler(self, lesson: Lesson) -> TwoViews:
        """Return batches that hold every row twice."""
        data = lesson.training_data()
        return TwoViews(len(data), lesson.batch_size, data.weights)

    def augment(self, lesson: Lesson) -> Transfer | None:
        """Return the distortion that makes the views; None if the lesson has one."""
        if self.distortion is not None or lesson.augment is not None:
            return self.distortion
        shape = lesson.input_shape
        if len(shape) == 3:
            return ImageDistortion(shape, rotation=6, scale=0.07, shear=0.1, elastic=0)
        return GaussianNoise(scale=0.1)

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the divergence and the discrepancy between the two views."""
        (embedding,) = step.student.features
        if embedding.ndim > 2:
            embedding = embedding.flatten(2).mean(2)
        return {
            "ddgsd": self.weight / 2 * view_divergence(step.student.logits),
            "discrepancy": self.discrepancy_weight / 2 * view_discrepancy(embedding),
        }
