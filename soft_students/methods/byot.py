"""Be your own teacher: early exits are distilled from the last one."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.kd import kd_loss
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.observation import embedding_layer, observe, peek, spatial_layers
from soft_students.methods.peers import ensemble_logits
from soft_students.sklearn_private import Interval, StrOptions
from soft_students.training.stages import Terms

__all__ = ["BYOT", "exit_hint_loss"]


def exit_hint_loss(features: Tensor, deepest: Tensor) -> Tensor:
    r"""Return :math:`\|F_i - sg(F_C)\|_2^2`, the mean over rows.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Input of an exit's linear layer.
    deepest : Tensor of shape (n, n_features)
        Input of the network's last linear layer. No gradient flows to it.

    References
    ----------
    Zhang, Song, Gao, Chen, Bao and Ma (2019), "Be your own teacher", arXiv:1905.08094, section 3.
    """
    return (features - deepest.detach()).square().sum(1).mean()


class Exit(nn.Module):
    """An early exit: a bottleneck and a linear layer, from feature maps to logits.

    Parameters
    ----------
    channels : int
        Channels of the feature maps.
    kernel : tuple of int
        Kernel and stride with which the bottleneck shrinks the maps to the size of the deepest.
    n_features : int
        Inputs of the linear layer, as many as those of the network's last linear layer.
    n_classes : int
    """

    def __init__(
        self, channels: int, kernel: tuple[int, int], n_features: int, n_classes: int
    ) -> None:
        super().__init__()
        inner = max(1, n_features // 4)
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, kernel, stride=kernel, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, n_features, 1, bias=False),
            nn.BatchNorm2d(n_features),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(n_features, n_classes)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits."""
        features = self.bottleneck(maps)
        return features, self.classifier(features)


class Exits(nn.Module):
    """The early exits of a network.

    Parameters
    ----------
    layers : sequence of str
        Layers of the network at which the exits branch off.
    exits : sequence of Exit
    """

    def __init__(self, layers: Sequence[str], exits: Sequence[Exit]) -> None:
        super().__init__()
        self.layers = list(layers)
        self.exits = nn.ModuleList(exits)

    def forward(self, maps: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return features and logits of each exit."""
        return [leave(one) for leave, one in zip(self.exits, maps, strict=True)]


class ExitPredictor(nn.Module):
    """Predict by one exit of a network, or by the mean of the probabilities of all.

    Parameters
    ----------
    network : nn.Module
    exits : Exits
    number : int or None
        Number of the exit, from 0. None averages all exits and the network's own output.
    """

    def __init__(self, network: nn.Module, exits: Exits, number: int | None) -> None:
        super().__init__()
        self.network = network
        self.exits = exits
        self.number = number

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits."""
        seen = observe(self.network, inputs, self.exits.layers)
        if self.number is not None:
            return self.exits.exits[self.number](seen.features[self.number])[1]
        return ensemble_logits([seen.logits, *(logits for _, logits in self.exits(seen.features))])


class BYOT(LossMethod):
    r"""Be your own teacher: early exits of the student are distilled from its output.

    :math:`L = CE(q_C, y) + \sum_{i<C} (1 - \alpha)\,CE(q_i, y) + \alpha\,KL(sg(q_C) \| q_i) +
    \lambda \|F_i - sg(F_C)\|_2^2`. An exit follows each resolution of the feature maps but the
    last. The divergence is at temperature T, without the factor T². Needs no teacher.

    Parameters
    ----------
    temperature : float, default=3.0
        T.
    weight : float, default=0.3
        α, in [0, 1].
    hint_weight : float, default=0.03
        λ.
    predict_with : "deepest", "ensemble" or int, default="deepest"
        "deepest": the student without exits. "ensemble": the mean of the probabilities of all exits
        and the student. A number: one exit, counted from 0.
    student_layers : sequence of str, default=None
        Layers with feature maps at which exits branch off. None takes the last of each resolution
        but the smallest.

    References
    ----------
    Zhang, Song, Gao, Chen, Bao and Ma (2019), "Be your own teacher: improve the performance of
    convolutional neural networks via self distillation", arXiv:1905.08094, section 3. The authors'
    code implements a later version, with a linear layer between the compared features.
    """

    key = "byot"
    title = "Be your own teacher"
    paper = Paper(
        "Zhang, Song, Gao, Chen, Bao and Ma",
        2019,
        "Be your own teacher: improve the performance of convolutional neural networks via self "
        "distillation",
        "ICCV",
        "arXiv:1905.08094",
    )
    needs = frozenset({"data", "images"})
    looks_at = "spatial"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "weight": [Interval(Real, 0, 1, closed="both")],
        "hint_weight": [Interval(Real, 0, None, closed="left")],
        "predict_with": [
            StrOptions({"deepest", "ensemble"}),
            Interval(Integral, 0, None, closed="left"),
        ],
        "student_layers": ["array-like", None],
    }

    def __init__(
        self,
        *,
        temperature: float = 3.0,
        weight: float = 0.3,
        hint_weight: float = 0.03,
        predict_with: str | int = "deepest",
        student_layers: Sequence[str] | None = None,
    ) -> None:
        self.temperature = temperature
        self.weight = weight
        self.hint_weight = hint_weight
        self.predict_with = predict_with
        self.student_layers = student_layers

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if the student has no layer for an exit, or not the exit asked for."""
        maps = self._maps(lesson, lesson.student)
        if isinstance(self.predict_with, Integral) and self.predict_with >= len(maps):
            raise ValueError(
                f"The 'predict_with' parameter of BYOT must be below {len(maps)}, the number of "
                f"exits (after {', '.join(maps)}). Got {self.predict_with} instead."
            )

    def layers(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the layers at which the exits branch off, and the embedding last."""
        return [*self._maps(lesson, network), embedding_layer(network, lesson.example())], []

    def _maps(self, lesson: Lesson, network: nn.Module) -> list[str]:
        if self.student_layers is not None:
            return list(self.student_layers)
        found = spatial_layers(network, lesson.example())
        if len(found) < 2:
            raise ValueError(
                "The method 'byot' needs a student with feature maps of at least two sizes: exits "
                f"come before the smallest. Got {found}; name layers in student_layers."
            )
        return found[:-1]

    def adapter(self, lesson: Lesson, network: nn.Module) -> Exits:
        """Return the exits."""
        *names, embedding = self.layers(lesson, network)[0]
        smallest = spatial_layers(network, lesson.example())[-1]
        *maps, last, deepest = peek(
            network, lesson.example(), [*names, smallest, embedding]
        ).features
        exits = []
        for name, one in zip(names, maps, strict=True):
            if one.ndim != 4:
                raise ValueError(
                    "The exits of 'byot' follow feature maps (channels, height, width). The layer "
                    f"{name!r} gives {tuple(one.shape[1:])}; name another in student_layers."
                )
            height, width = (max(1, one.shape[i] // last.shape[i]) for i in (2, 3))
            n_features = deepest[0].numel()
            exits.append(Exit(one.shape[1], (height, width), n_features, lesson.n_classes))
        return Exits(names, exits)

    def predictor(self, network: nn.Module, adapter: nn.Module | None) -> nn.Module | None:
        """Return the network with the exits that predict; None if none do."""
        if self.predict_with == "deepest":
            return None
        assert isinstance(adapter, Exits)
        number = None if self.predict_with == "ensemble" else int(self.predict_with)
        return ExitPredictor(network, adapter, number)

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the exits' losses: soft targets, labels and features."""
        assert isinstance(adapter, Exits)
        *maps, deepest = step.student.features
        soft, hard, hints = [], [], []
        for features, logits in adapter(maps):
            soft.append(kd_loss(logits, step.student.logits, self.temperature))
            hard.append(step.lesson.label_loss(logits, step.batch))
            hints.append(exit_hint_loss(features, deepest.flatten(1)))
        return {
            # this paper has no factor T², which kd_loss includes
            "byot": self.weight / self.temperature**2 * torch.stack(soft).sum(),
            "labels": (1 - self.weight) * torch.stack(hard).sum(),
            "hints": self.hint_weight * torch.stack(hints).sum(),
        }
