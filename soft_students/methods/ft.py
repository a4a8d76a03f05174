"""Factor transfer: match features after an autoencoder of the teacher's has compressed them."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.resizing import to_common_size
from soft_students.sklearn_private import Interval, StrOptions
from soft_students.training.batch import Batch
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["FT", "ft_loss"]


def normalized_factor(factor: Tensor, eps: float = 1e-6) -> Tensor:
    """Flatten each row and scale it to unit length.

    Parameters
    ----------
    factor : Tensor of shape (n, channels, height, width)
    eps : float, default=1e-6
        Rows of a smaller norm count as zero.

    Returns
    -------
    Tensor of shape (n, channels * height * width)
        Zero, with gradient zero, for rows of zeros.
    """
    flat = factor.flatten(1)
    length = flat.norm(dim=1, keepdim=True)
    return flat / length.masked_fill(length <= eps, math.inf)


def ft_loss(student_factor: Tensor, teacher_factor: Tensor) -> Tensor:
    r"""Return the mean absolute difference of factors scaled to unit length.

    :math:`\| F_t / \|F_t\|_2 - F_s / \|F_s\|_2 \|_1`, divided by the number of entries.

    Parameters
    ----------
    student_factor, teacher_factor : Tensor of shape (n, channels, height, width)
        Factors with equal channels. If the sizes differ, average pooling shrinks the larger map. No
        gradient flows to the teacher's.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Kim, Park and Kwak (2018), "Paraphrasing complex network: network compression via factor
    transfer", arXiv:1802.04977, section 3, with p = 1; the mean is that of the authors' code.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import ft_loss
    >>> factor = torch.rand(2, 3, 4, 4)
    >>> bool(ft_loss(2 * factor, factor) < 1e-6)  # independent of scale
    True
    """
    student, teacher = to_common_size(student_factor, teacher_factor.detach())
    return F.l1_loss(normalized_factor(student), normalized_factor(teacher))


def translator(channels: int, factor_channels: int) -> nn.Sequential:
    """Return three 3x3 convolutions with leaky activations, from feature maps to a factor."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(channels, factor_channels, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(factor_channels, factor_channels, 3, padding=1),
        nn.LeakyReLU(0.1),
    )


class Paraphraser(nn.Module):
    """An autoencoder of the teacher's feature maps; its code is the teacher's factor.

    Parameters
    ----------
    channels, factor_channels : int
    """

    def __init__(self, channels: int, factor_channels: int) -> None:
        super().__init__()
        self.encoder = translator(channels, factor_channels)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(factor_channels, factor_channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(factor_channels, channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the features reconstructed from the factor."""
        return self.decoder(self.encoder(features))


class Factors(nn.Module):
    """A trainable translator and a paraphraser's encoder, which stays frozen.

    Parameters
    ----------
    student_translator, teacher_encoder : nn.Module
    """

    def __init__(self, student_translator: nn.Module, teacher_encoder: nn.Module) -> None:
        super().__init__()
        self.translator = student_translator
        self.encoder = teacher_encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Factors:
        """Set the mode of the translator; the encoder stays in eval mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of student and teacher."""
        with torch.no_grad():
            factor = self.encoder(teacher)
        return self.translator(student), factor


class FT(LossMethod):
    r"""Factor transfer: match the teacher's features as compressed by a trained paraphraser.

    Stage 1 trains the paraphraser to reconstruct the teacher's features, without labels and without
    the student. The main stage minimises :math:`CE(z_s, y) + \beta\,mean|\hat F_t - \hat F_s|`,
    with the paraphraser frozen; at the end both are dropped.

    Parameters
    ----------
    weight : float, default=None
        β. None takes :math:`500 \sqrt{D / 2048}` for factors of D entries: 500 as in the authors'
        code for their 32x8x8, and less for smaller factors, whose entries at unit length, hence the
        loss, are larger.
    rate : float, default=0.5
        k, the channels of a factor as a share of the teacher's.
    paraphraser_epochs : int, default=None
        Epochs of stage 1, in addition to the main stage. None takes an eighth of its epochs.
    variant : {"paper", "reference"}, default="paper"
        The paraphraser minimises squared differences ("paper") or absolute ones ("reference", the
        authors' code). The paper is the default, since later comparisons follow it.
    student_layers, teacher_layers : sequence of str, default=None
        One layer with feature maps each, or several in pairs. None takes the last one.

    References
    ----------
    Kim, Park and Kwak (2018), "Paraphrasing complex network: network compression via factor
    transfer", NeurIPS, arXiv:1802.04977, section 3.
    """

    key = "ft"
    title = "Factor transfer"
    paper = Paper(
        "Kim, Park and Kwak",
        2018,
        "Paraphrasing complex network: network compression via factor transfer",
        "NeurIPS",
        "arXiv:1802.04977",
    )
    needs = frozenset({"teacher", "network", "data", "images"})
    looks_at = "spatial"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [Interval(Real, 0, None, closed="left"), None],
        "rate": [Interval(Real, 0, None, closed="neither")],
        "paraphraser_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "variant": [StrOptions({"paper", "reference"})],
    }

    def __init__(
        self,
        *,
        weight: float | None = None,
        rate: float = 0.5,
        paraphraser_epochs: int | None = None,
        variant: str = "paper",
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.weight = weight
        self.rate = rate
        self.paraphraser_epochs = paraphraser_epochs
        self.variant = variant
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def layers(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the layers to compare: by default the deepest."""
        student, teacher = super().layers(lesson, network)
        if self.student_layers or self.teacher_layers:
            return student, teacher
        return student[-1:], teacher[-1:]

    def prepare(
        self, lesson: Lesson, network: nn.Module
    ) -> Generator[Stage, None, nn.Module | None]:
        """Yield the stage of the paraphraser; return the translators with its encoders."""
        assert lesson.teacher is not None
        teacher = lesson.teacher
        shapes = self.shapes(lesson, network, maps=True)
        theirs = self.layers(lesson, network)[1]
        widths = [max(1, round(self.rate * there[0])) for _, there in shapes]
        paraphrasers = [
            Paraphraser(there[0], width) for (_, there), width in zip(shapes, widths, strict=True)
        ]
        distance = F.mse_loss if self.variant == "paper" else F.l1_loss

        def loss(batch: Batch) -> Terms:
            features = teacher.observe(batch, theirs).features
            pairs = zip(paraphrasers, features, strict=True)
            return {
                "ft reconstruction": torch.stack(
                    [distance(rebuild(f), f) for rebuild, f in pairs]
                ).sum()
            }

        epochs = self.paraphraser_epochs or lesson.share_of_epochs(1 / 8)
        yield Stage("ft paraphraser", [Player(paraphrasers, loss)], epochs=epochs)
        return nn.ModuleList(
            Factors(translator(ours[0], width), paraphraser.encoder)
            for (ours, _), width, paraphraser in zip(shapes, widths, paraphrasers, strict=True)
        )

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the distance between factors."""
        assert step.teacher is not None
        assert isinstance(adapter, nn.ModuleList)
        trios = zip(adapter, step.student.features, step.teacher.features, strict=True)
        losses = []
        for factors, student, teacher in trios:
            ours, theirs = factors(student, teacher)
            losses.append(self._beta(ours, theirs) * ft_loss(ours, theirs))
        return {"ft": torch.stack(losses).sum()}

    def _beta(self, ours: Tensor, theirs: Tensor) -> float:
        if self.weight is not None:
            return self.weight
        height, width = map(min, ours.shape[2:], theirs.shape[2:])
        return 500.0 * math.sqrt(ours.shape[1] * height * width / 2048)
