"""The networks `train_teacher` knows: small ones that train on a CPU in minutes.

A network is known by a name, the shape of its input, its number of classes and a configuration of
plain JSON values. These four rebuild it exactly, which is what a checkpoint relies on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from soft_students.choices import choose

Config = dict[str, Any]

_MOST_LAYERS = 64


@dataclass(frozen=True)
class Recipe:
    """How an architecture is trained when nobody says otherwise.

    Parameters
    ----------
    rows : int
        Training rows to be seen in all, each pass counted; with the number of rows at hand this
        gives the number of epochs.
    min_epochs, max_epochs : int
        Bounds of that number.
    largest_batch : int
        Rows a step, where there are enough for ten steps an epoch.
    learning_rate : float
        Peak of the one-cycle schedule, for AdamW.
    weight_decay : float
        Decoupled, as in AdamW.
    """

    rows: int
    min_epochs: int
    max_epochs: int
    largest_batch: int
    learning_rate: float
    weight_decay: float

    def epochs(self, n_rows: int) -> int:
        """Return the number of passes over `n_rows` training rows."""
        return max(self.min_epochs, min(self.max_epochs, round(self.rows / n_rows)))

    def batch_size(self, n_rows: int) -> int:
        """Return the number of rows a step."""
        return min(self.largest_batch, max(8, n_rows // 10))


@dataclass(frozen=True)
class Architecture:
    """One entry of the registry.

    Parameters
    ----------
    name : str
        What the command line and checkpoints call it.
    summary : str
        One line on what it is good for.
    takes_images : bool
        Whether the input is (channels, height, width); otherwise it is (n_features,).
    default_config : callable
        From the input shape to a complete configuration.
    make : callable
        From (input_shape, n_classes, config) to the untrained layers, to be called in order. The
        configuration is complete but may come from a file: nonsense raises ValueError, TypeError or
        RuntimeError.
    recipe : Recipe
    """

    name: str
    summary: str
    takes_images: bool
    default_config: Callable[[tuple[int, ...]], Config]
    make: Callable[[tuple[int, ...], int, Config], list[nn.Module]]
    recipe: Recipe


class Network(nn.Module):
    """A network that remembers what it was built from; made by `build`.

    Parameters
    ----------
    layers : list of torch.nn.Module
        Called in order.
    arch : str
    input_shape : tuple of int
    n_classes : int
    config : dict
        Complete and of plain JSON values.
    """

    def __init__(
        self,
        layers: list[nn.Module],
        *,
        arch: str,
        input_shape: tuple[int, ...],
        n_classes: int,
        config: Config,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.arch = arch
        self.input_shape = input_shape
        self.n_classes = n_classes
        self.config = config

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.layers(inputs)


def available_architectures() -> dict[str, Architecture]:
    """Return every architecture by name.

    Examples
    --------
    >>> from soft_students.teachers.architectures import available_architectures
    >>> list(available_architectures())
    ['mlp', 'cnn', 'resnet']
    """
    return {entry.name: entry for entry in _ENTRIES}


def get_architecture(name: str) -> Architecture:
    """Return one architecture by name.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those that exist.
    """
    return choose(available_architectures(), name, "architecture")


def complete_config(
    arch: str, input_shape: tuple[int, ...], config: Mapping[str, Any] | None = None
) -> Config:
    """Return the architecture's configuration for this input with the values of `config` put in.

    Raises
    ------
    ValueError
        If the architecture or a key is unknown, or the architecture cannot take such an input.

    Examples
    --------
    >>> from soft_students.teachers.architectures import complete_config
    >>> complete_config("mlp", (30,), {"dropout": 0.2})
    {'hidden': [256, 256], 'dropout': 0.2}
    """
    entry = get_architecture(arch)
    _check_shape(entry, tuple(input_shape))
    complete = entry.default_config(tuple(input_shape))
    unknown = set(config or {}) - set(complete)
    if unknown:
        raise ValueError(
            f"Architecture {arch!r} has no setting {sorted(map(str, unknown))[0]!r}. "
            f"It has: {', '.join(complete)}."
        )
    complete |= config or {}
    try:
        return json.loads(json.dumps(complete))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The configuration of architecture {arch!r} must hold JSON values alone: {error}"
        ) from error


def build(
    arch: str,
    input_shape: tuple[int, ...],
    n_classes: int,
    config: Mapping[str, Any] | None = None,
) -> Network:
    """Build an untrained network.

    Parameters
    ----------
    arch : {"mlp", "cnn", "resnet"}
    input_shape : tuple of int
        (channels, height, width) for "cnn" and "resnet"; any shape for "mlp".
    n_classes : int
    config : dict, default=None
        Settings that differ from the architecture's own; see `complete_config`.

    Returns
    -------
    Network
        From float32 of shape (n, ...input_shape) to logits (n, n_classes). Its first weights are
        drawn from torch's global generator.

    Raises
    ------
    ValueError
        If the network cannot be built from these values; the message says which.

    Examples
    --------
    >>> import torch
    >>> from soft_students.teachers.architectures import build
    >>> build("cnn", (1, 8, 8), 10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    shape = tuple(input_shape)
    complete = complete_config(arch, shape, config)
    try:
        layers = get_architecture(arch).make(shape, n_classes, complete)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"Cannot build architecture {arch!r} for inputs of shape {shape} from the "
            f"configuration {complete}: {error}"
        ) from error
    network = Network(layers, arch=arch, input_shape=shape, n_classes=n_classes, config=complete)
    # Twice as fast as the default layout for these sizes on a CPU; without effect on other weights.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _check_shape(entry: Architecture, input_shape: tuple[int, ...]) -> None:
    if not input_shape or not all(isinstance(side, int) and side > 0 for side in input_shape):
        raise ValueError(f"An input shape holds positive ints. Got {input_shape!r} instead.")
    if not entry.takes_images:
        return
    if len(input_shape) != 3 or min(input_shape[1:]) < 4:
        raise ValueError(
            f"Architecture {entry.name!r} takes images of shape (channels, height, width) of at "
            f"least 4 x 4 pixels. Got {input_shape} instead; for rows that are not images use "
            "'mlp'."
        )


def _check_sizes(**sizes: object) -> None:
    """Refuse sizes that torch would accept and fail on later, or work at without end."""
    for name, value in sizes.items():
        if isinstance(value, list) and len(value) > _MOST_LAYERS:
            raise ValueError(f"{name!r} holds more than {_MOST_LAYERS} values")
        for size in value if isinstance(value, list) else [value]:
            if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= 65536:
                raise ValueError(f"{name!r} must hold ints in the range [1, 65536], got {value!r}")


def _mlp(input_shape: tuple[int, ...], n_classes: int, config: Config) -> list[nn.Module]:
    hidden, dropout = list(config["hidden"]), float(config["dropout"])
    _check_sizes(hidden=hidden, n_classes=n_classes)
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(input_shape)
    for units in hidden:
        layers += [nn.Linear(width, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = units
    layers.append(nn.Linear(width, n_classes))
    return layers


def _convolution(
    inputs: int, outputs: int, kernel: int, *, padding: int, pool: bool
) -> list[nn.Module]:
    """Convolution, pooling, batch norm, ReLU: pooled first, the last two cost a quarter."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return [*layers, nn.BatchNorm2d(outputs), nn.ReLU()]


def _cnn_config(input_shape: tuple[int, ...]) -> Config:
    if min(input_shape[1:]) < 20:
        # Every pixel counts: nothing is cut off at the border and the first layer keeps the size.
        return {
            "channels": [16, 16, 32],
            "kernels": [3, 3, 3],
            "pools": [False, True, True],
            "same": True,
            "hidden": 128,
            "dropout": 0.0,
        }
    # A first layer that is pooled at once: most of the time would go into it otherwise.
    return {
        "channels": [24, 48, 48],
        "kernels": [5, 3, 3],
        "pools": [True, False, True],
        "same": False,
        "hidden": 128,
        "dropout": 0.0,
    }


def _cnn(input_shape: tuple[int, ...], n_classes: int, config: Config) -> list[nn.Module]:
    channels, kernels, pools = (list(config[key]) for key in ("channels", "kernels", "pools"))
    hidden, dropout = config["hidden"], float(config["dropout"])
    _check_sizes(channels=channels, kernels=kernels, hidden=hidden, n_classes=n_classes)
    width, *size = input_shape
    layers: list[nn.Module] = []
    for outputs, kernel, pool in zip(channels, kernels, pools, strict=True):
        padding = kernel // 2 if config["same"] else 0
        layers += _convolution(width, outputs, kernel, padding=padding, pool=pool)
        size = [(side + 2 * padding - kernel + 1) // (2 if pool else 1) for side in size]
        width = outputs
    if min(size) < 1:
        raise ValueError("no pixel is left after the last layer")
    layers += [nn.Flatten(), nn.Linear(width * math.prod(size), hidden, bias=False)]
    layers += [nn.BatchNorm1d(hidden), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(dropout))
    layers.append(nn.Linear(hidden, n_classes))
    return layers


class _Residual(nn.Module):
    """Basic block of He et al. (2016), with max pooling instead of a stride when it shrinks."""

    def __init__(self, inputs: int, outputs: int, *, pool: bool) -> None:
        super().__init__()
        self.shrink: nn.Module = nn.MaxPool2d(2) if pool else nn.Identity()
        self.body = nn.Sequential(
            *_convolution(inputs, outputs, 3, padding=1, pool=False),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shrink(x)
        return torch.relu(self.body(x) + self.shortcut(x))


def _resnet_config(input_shape: tuple[int, ...]) -> Config:
    large = min(input_shape[1:]) >= 20
    return {"stem": 5 if large else 3, "pool_stem": large, "channels": [32, 64], "blocks": 1}


def _resnet(input_shape: tuple[int, ...], n_classes: int, config: Config) -> list[nn.Module]:
    stem, channels, blocks = config["stem"], list(config["channels"]), config["blocks"]
    _check_sizes(stem=stem, channels=channels, blocks=blocks, n_classes=n_classes)
    if not channels or len(channels) * blocks > _MOST_LAYERS:
        raise ValueError(f"there must be 1 to {_MOST_LAYERS} blocks in all")
    halvings = len(channels) - 1 + bool(config["pool_stem"])
    if min(input_shape[1:]) < 2**halvings:
        raise ValueError(f"no pixel is left after halving the image {halvings} times")
    width = channels[0]
    layers = _convolution(
        input_shape[0], width, stem, padding=stem // 2, pool=bool(config["pool_stem"])
    )
    for stage, outputs in enumerate(channels):
        for block in range(blocks):
            layers.append(_Residual(width, outputs, pool=stage > 0 and block == 0))
            width = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_classes)]
    return layers


_ENTRIES = [
    Architecture(
        "mlp",
        "Fully connected layers: tables, or images without using that they are images.",
        takes_images=False,
        default_config=lambda input_shape: {"hidden": [256, 256], "dropout": 0.1},
        make=_mlp,
        recipe=Recipe(1_200_000, 20, 100, 128, 3e-3, 1e-2),
    ),
    Architecture(
        "cnn",
        "Three convolutions and one hidden layer: the quick one for small images.",
        takes_images=True,
        default_config=_cnn_config,
        make=_cnn,
        recipe=Recipe(800_000, 10, 60, 128, 1e-2, 1e-2),
    ),
    Architecture(
        "resnet",
        "A small residual network: slower, for images that the cnn finds hard.",
        takes_images=True,
        default_config=_resnet_config,
        make=_resnet,
        recipe=Recipe(600_000, 10, 60, 128, 1e-2, 1e-2),
    ),
]
