"""Data-free learning: a generator synthesises training inputs from the teacher alone."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from soft_students.methods.base import Method, Objective, Paper
from soft_students.methods.kd import kd_loss
from soft_students.methods.lesson import Lesson
from soft_students.methods.observation import INPUT, embedding_layer, observe
from soft_students.networks.prepared import Prepared
from soft_students.sklearn_private import Interval
from soft_students.teachers.preprocessing import Standardize
from soft_students.training.batch import Batch, NoData
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["DAFL", "activation_loss", "information_loss", "one_hot_loss", "statistics_loss"]


def one_hot_loss(logits: Tensor) -> Tensor:
    """Return the mean cross-entropy to the teacher's own predictions: low where it is certain.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)

    Returns
    -------
    Tensor
        A scalar, in nats.

    References
    ----------
    Chen et al. (2019), "Data-free learning of student networks", arXiv:1904.01186, section 3.
    """
    return F.cross_entropy(logits, logits.detach().argmax(1))


def information_loss(logits: Tensor) -> Tensor:
    r"""Return :math:`\sum_c \bar p_c \log \bar p_c`: low if all classes are equally frequent.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)

    Returns
    -------
    Tensor
        A scalar in [-log(n_classes), 0], in nats. A class of probability zero adds zero.

    References
    ----------
    Chen et al. (2019), "Data-free learning of student networks", arXiv:1904.01186, section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import information_loss
    >>> round(float(information_loss(20 * torch.eye(4))), 3)
    -1.386
    """
    mean = logits.softmax(1).mean(0)
    # d(p̄ log p̄) = log p̄ dp̄ + dp̄, and the last terms sum to zero, since probabilities sum to
    # one. Adding the smallest number keeps the logarithm finite where p̄ is zero.
    return torch.dot(mean, (mean.detach() + torch.finfo(mean.dtype).tiny).log())


def activation_loss(features: Tensor) -> Tensor:
    """Return minus the mean absolute value of a teacher's features.

    Parameters
    ----------
    features : Tensor of shape (n, ...)

    References
    ----------
    Chen et al. (2019), "Data-free learning of student networks", arXiv:1904.01186, section 3.
    """
    return -features.abs().mean()


def statistics_loss(features: Sequence[Tensor], layers: Sequence[_BatchNorm]) -> Tensor:
    r"""Return :math:`\sum_l \|\mu_l - \hat\mu_l\|_2 + \|\sigma_l^2 - \hat\sigma_l^2\|_2`.

    The distance between a batch's statistics and those of the training data, as stored by the
    teacher's batch normalisations.

    Parameters
    ----------
    features : sequence of Tensor of shape (n, channels, ...)
        Input of each layer.
    layers : sequence of nn.BatchNorm1d, nn.BatchNorm2d or nn.BatchNorm3d
        Layers with running statistics.

    References
    ----------
    Yin et al. (2020), "Dreaming to distill: data-free knowledge transfer via DeepInversion",
    arXiv:1912.08795, section 3.
    """
    distances = []
    for seen, layer in zip(features, layers, strict=True):
        assert layer.running_mean is not None
        assert layer.running_var is not None
        over = [d for d in range(seen.ndim) if d != 1]
        variance, mean = torch.var_mean(seen, dim=over, correction=0)
        distances += [
            torch.linalg.vector_norm(mean - layer.running_mean),
            torch.linalg.vector_norm(variance - layer.running_var),
        ]
    return torch.stack(distances).sum()


class InputGenerator(nn.Module):
    """Generate inputs from noise: standardised outputs, scaled to the inputs' mean and deviation.

    Parameters
    ----------
    input_shape : tuple of int
        Images (channels, height, width) are made by upsampling convolutions from a quarter of their
        size, everything else by fully connected layers.
    mean, std : Tensor
        Mean and standard deviation of the inputs; broadcast against one input.
    noise : int
        Number of noise values per input.
    width : int
        Base number of channels or units.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, input_shape: tuple[int, ...], mean: Tensor, std: Tensor, noise: int, width: int
    ) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())
        self.layers = (
            _image_layers(self.input_shape, noise, width)
            if len(input_shape) == 3
            else _row_layers(self.input_shape, noise, width)
        )
        # channels last: a third faster on a CPU
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, noise: Tensor) -> Tensor:
        """Return inputs of shape (n, *input_shape)."""
        made = self.layers(noise).view(len(noise), *self.input_shape)
        return self.mean + self.std * made


def _image_layers(shape: tuple[int, ...], noise: int, width: int) -> nn.Sequential:
    channels, height, width_px = shape
    small = (math.ceil(height / 4), math.ceil(width_px / 4))
    middle = (math.ceil(height / 2), math.ceil(width_px / 2))
    half = max(1, width // 2)
    return nn.Sequential(
        nn.Linear(noise, width * small[0] * small[1]),
        nn.Unflatten(1, (width, *small)),
        nn.BatchNorm2d(width),
        nn.Upsample(middle),
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2),
        nn.Upsample((height, width_px)),
        nn.Conv2d(width, half, 3, padding=1),
        nn.BatchNorm2d(half),
        nn.LeakyReLU(0.2),
        nn.Conv2d(half, channels, 3, padding=1),
        nn.Tanh(),
        nn.BatchNorm2d(channels, affine=False),
    )


def _row_layers(shape: tuple[int, ...], noise: int, width: int) -> nn.Sequential:
    n_features = math.prod(shape)
    return nn.Sequential(
        nn.Linear(noise, 4 * width),
        nn.BatchNorm1d(4 * width),
        nn.LeakyReLU(0.2),
        nn.Linear(4 * width, 4 * width),
        nn.BatchNorm1d(4 * width),
        nn.LeakyReLU(0.2),
        nn.Linear(4 * width, n_features),
        nn.Tanh(),
        nn.BatchNorm1d(n_features, affine=False),
    )


class DAFL(Method):
    r"""Data-free learning: distil from the teacher alone, without training rows.

    A generator minimises
    :math:`o\,CE(z_t, \arg\max z_t) + i \sum_c \bar p_c \log \bar p_c - a\,\overline{|f_t|}`. For
    its inputs, the teacher is certain, predicts all classes equally often, and is strongly
    activated. The student minimises :math:`KL(p_t \| p_s)` on the same inputs. Both step on every
    batch, and no gradient flows from the student to the generator.

    Pass no data: ``fit(None, teacher)``. The generated inputs have the mean and deviation by which
    the teacher standardises; if it does not, they spread over its input range.

    Parameters
    ----------
    one_hot_weight : float, default=1.0
        o.
    information_weight : float, default=5.0
        i, in nats. The authors' code takes logarithms to the base of ten, and the paper divides by
        the number of classes.
    activation_weight : float, default=0.1
        a, for the input of the teacher's last linear layer.
    statistics_weight : float, default=0.0
        Weight of `statistics_loss`, from Yin et al. (2020). It fits the inputs to the statistics
        stored by the teacher's batch normalisations, and far fewer batches suffice. 1 is a good
        choice where the teacher has batch normalisation; 0 is the paper.
    noise : int, default=100
        Number of noise values per input.
    width : int, default=32
        Channels of the generator; 128 in the paper, at sixteen times the cost.
    generator_rate : float, default=0.01
        Constant learning rate of the generator's Adam; 0.2 in the paper.
    steps : int, default=120
        Batches per epoch.

    References
    ----------
    Chen, Wang, Xu, Yang, Liu, Shi, Xu, Xu and Tian (2019), "Data-free learning of student
    networks", arXiv:1904.01186, section 3.

    Yin, Molchanov, Alvarez, Li, Mallya, Hoiem, Jha and Kautz (2020), "Dreaming to distill:
    data-free knowledge transfer via DeepInversion", arXiv:1912.08795, section 3.
    """

    key = "dafl"
    title = "Data-free learning"
    paper = Paper(
        "Chen et al.",
        2019,
        "Data-free learning of student networks",
        "ICCV",
        "arXiv:1904.01186",
    )
    needs = frozenset({"teacher", "network"})
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "one_hot_weight": [Interval(Real, 0, None, closed="left")],
        "information_weight": [Interval(Real, 0, None, closed="left")],
        "activation_weight": [Interval(Real, 0, None, closed="left")],
        "statistics_weight": [Interval(Real, 0, None, closed="left")],
        "noise": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "generator_rate": [Interval(Real, 0, None, closed="neither")],
        "steps": [Interval(Integral, 1, None, closed="left")],
    }

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"steps": 2, "noise": 8, "width": 4}

    def __init__(
        self,
        *,
        one_hot_weight: float = 1.0,
        information_weight: float = 5.0,
        activation_weight: float = 0.1,
        statistics_weight: float = 0.0,
        noise: int = 100,
        width: int = 32,
        generator_rate: float = 0.01,
        steps: int = 120,
    ) -> None:
        self.one_hot_weight = one_hot_weight
        self.information_weight = information_weight
        self.activation_weight = activation_weight
        self.statistics_weight = statistics_weight
        self.noise = noise
        self.width = width
        self.generator_rate = generator_rate
        self.steps = steps

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if the teacher is missing or not a PyTorch module."""
        if lesson.teacher is None:
            raise ValueError("The method 'dafl' learns from a teacher alone. Got none.")
        lesson.teacher.require_network(self.key)

    def stages(self, lesson: Lesson, objective: Objective) -> Generator[Stage, None, nn.Module]:
        """Yield one stage, in which generator and student step in turn."""
        teacher = lesson.teacher
        assert teacher is not None
        network = teacher.require_network(self.key)
        # needed for the activation loss only
        layers = [embedding_layer(network, lesson.example())] if self.activation_weight else []
        norms = _normalisations(network) if self.statistics_weight else {}
        mean, std = _scale(network, lesson)
        generator = InputGenerator(lesson.input_shape, mean, std, self.noise, self.width)
        task = yield from objective.prepare(lesson.student)
        shown: list[Tensor] = []  # this step's generated inputs and the teacher's logits for them

        def generate(batch: Batch) -> Terms:
            noise = torch.randn(lesson.batch_size, self.noise, generator=lesson.generator)
            inputs = generator(noise.to(lesson.device))
            seen = observe(network, inputs, [*(name + INPUT for name in norms), *layers])
            logits = teacher.as_logits(seen.logits)
            shown[:] = inputs.detach(), logits.detach()
            terms = {
                "dafl one-hot": self.one_hot_weight * one_hot_loss(logits),
                "dafl information": self.information_weight * information_loss(logits),
            }
            if layers:
                activation = activation_loss(seen.features[-1])
                terms["dafl activation"] = self.activation_weight * activation
            if norms:
                distance = statistics_loss(seen.features[: len(norms)], list(norms.values()))
                terms["dafl statistics"] = self.statistics_weight * distance
            return terms

        def learn(batch: Batch) -> Terms:
            inputs, teacher_logits = shown
            if not objective.methods:
                return {"dafl": kd_loss(lesson.student(inputs), teacher_logits, temperature=1.0)}
            terms, logits = task.with_logits(replace(batch, inputs=inputs))
            return {"dafl": kd_loss(logits, teacher_logits, temperature=1.0), **terms}

        yield Stage(
            self.key,
            [
                Player([generator], generate, lambda p: torch.optim.Adam(p, self.generator_rate)),
                Player(task.trains, learn),
            ],
            batches=NoData(self.steps),
            selects=[lesson.student],
        )
        return lesson.student


def _scale(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the teacher's inputs."""
    if isinstance(network, Prepared) and isinstance(network.preprocess, Standardize):
        return network.preprocess.mean, network.preprocess.std
    low, high = lesson.input_range
    # the deviation of a uniform distribution
    return torch.tensor((low + high) / 2), torch.tensor((high - low) / math.sqrt(12))


def _normalisations(network: nn.Module) -> dict[str, _BatchNorm]:
    """Return the batch normalisations with running statistics, by name."""
    owner = network.module if isinstance(network, Prepared) else network
    return {
        name: module
        for name, module in owner.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }
