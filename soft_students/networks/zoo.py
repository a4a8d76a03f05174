"""Registry of networks by name, for teachers and students.

This module does not import torch, so that the command line can list the names quickly.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soft_students.choices import choose

if TYPE_CHECKING:
    from torch import nn

Config = dict[str, Any]

_MOST_LAYERS = 64

#: Makes a network from the shape of one input and the number of classes.
Factory = Callable[[tuple[int, ...], int], "nn.Module"]


@dataclass(frozen=True)
class Recipe:
    """Default training settings of a network in `train_teacher`.

    Parameters
    ----------
    rows : int
        Training rows seen in total over all epochs; sets the number of epochs.
    min_epochs, max_epochs : int
        Bounds of the number of epochs.
    largest_batch : int
        Rows per step, if the rows suffice for ten steps per epoch.
    learning_rate : float
        Peak of the one-cycle schedule, for AdamW.
    weight_decay : float
        Decoupled weight decay, as in AdamW.
    config : dict, default={}
        Settings of a teacher's network that differ from a student's.
    """

    rows: int
    min_epochs: int
    max_epochs: int
    largest_batch: int
    learning_rate: float
    weight_decay: float
    config: Config = field(default_factory=dict)

    def epochs(self, n_rows: int) -> int:
        """Return the number of passes over `n_rows` training rows."""
        return max(self.min_epochs, min(self.max_epochs, round(self.rows / n_rows)))

    def batch_size(self, n_rows: int) -> int:
        """Return the number of rows per step."""
        return min(self.largest_batch, max(8, n_rows // 10))


@dataclass(frozen=True)
class NetworkEntry:
    """One entry of the zoo.

    Parameters
    ----------
    summary : str
        One line on the network and its use.
    factory : str
        Module of this package and the callable in it, "dense.mlp", that makes the untrained network
        from (input_shape, n_classes) and, by keyword, `arguments` and the complete configuration.
        Invalid values, e.g. from a file, raise ValueError, TypeError or RuntimeError.
    recipe : Recipe
    takes_images : bool, default=True
        Whether the input is (channels, height, width); if not, any shape is accepted.
    arguments : dict, default={}
        Fixed arguments of the factory.
    config : callable, default=None
        Maps the input shape to the default configuration, with every setting that can be changed.
        None: no settings.
    """

    summary: str
    factory: str
    recipe: Recipe
    takes_images: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    config: Callable[[tuple[int, ...]], Config] | None = None


def get_network(name: str) -> NetworkEntry:
    """Return the entry of one network.

    Raises
    ------
    ValueError
        If the network is unknown; the message lists the available ones.
    """
    return choose(NETWORKS, name, "network")


def complete_config(
    name: str, input_shape: tuple[int, ...], config: Mapping[str, Any] | None = None
) -> Config:
    """Return a network's default configuration, updated with the given settings.

    Raises
    ------
    ValueError
        If the network or a setting is unknown, or the network does not support the input shape.

    Examples
    --------
    >>> from soft_students.networks.zoo import complete_config
    >>> complete_config("mlp", (30,), {"dropout": 0.2})
    {'hidden': [64, 64], 'dropout': 0.2}
    """
    entry = get_network(name)
    _check_shape(name, entry, input_shape)
    complete = {} if entry.config is None else entry.config(input_shape)
    for setting in config or {}:
        if setting not in complete:
            raise ValueError(
                f"The network {name!r} has no setting {setting!r}. It has: "
                f"{', '.join(complete) or 'none'}."
            )
    complete |= config or {}
    try:
        return json.loads(json.dumps(complete))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The configuration of the network {name!r} must hold only JSON values: {error}"
        ) from error


def make_network(
    name: str,
    input_shape: tuple[int, ...],
    n_classes: int,
    config: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return an untrained network.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`.
    input_shape : tuple of int
        (channels, height, width) of images; any shape for "mlp".
    n_classes : int
    config : dict, default=None
        Settings that differ from the default; see `complete_config`.

    Returns
    -------
    torch.nn.Module
        Maps float32 of shape (n, *input_shape) to logits (n, n_classes). Its initial weights are
        drawn from torch's global generator.

    Raises
    ------
    ValueError
        If the network cannot be built from these values; the message gives the reason.

    Examples
    --------
    >>> import torch
    >>> from soft_students.networks.zoo import make_network
    >>> make_network("resnet8", (1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    shape = tuple(input_shape)
    complete = complete_config(name, shape, config)
    entry = NETWORKS[name]
    module, _, factory = entry.factory.partition(".")
    make = getattr(importlib.import_module(f"{__package__}.{module}"), factory)
    try:
        _check_sizes(complete, {} if entry.config is None else entry.config(shape))
        return make(shape, n_classes, **entry.arguments, **complete)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"Cannot build the network {name!r} for inputs of shape {shape} from the "
            f"configuration {complete}: {error}"
        ) from error


def _check_shape(name: str, entry: NetworkEntry, shape: tuple[int, ...]) -> None:
    if not shape or not all(isinstance(side, int) and side > 0 for side in shape):
        raise ValueError(f"An input shape holds positive ints. Got {shape!r} instead.")
    if entry.takes_images and (len(shape) != 3 or min(shape[1:]) < 4):
        raise ValueError(
            f"The network {name!r} takes images of shape (channels, height, width) of at least "
            f"4 x 4 pixels. Got inputs of shape {shape}: set input_shape, or use 'mlp' for rows "
            "that are not images."
        )


def _check_sizes(config: Config, defaults: Config) -> None:
    """Raise ValueError for sizes that torch accepts but that fail later or take too long."""
    for name, default in defaults.items():
        value, several = config[name], isinstance(default, list)
        if type(default[0] if several else default) is not int:
            continue
        sizes = value if isinstance(value, list) and several else [value]
        if len(sizes) > _MOST_LAYERS:
            raise ValueError(f"{name!r} holds more than {_MOST_LAYERS} values")
        if not all(type(size) is int and 0 < size <= 65536 for size in sizes):
            raise ValueError(f"{name!r} must hold ints in the range [1, 65536], got {value!r}")


def _cnn_config(input_shape: tuple[int, ...]) -> Config:
    # Small images keep their border pixels and, in the first layer, their size. On larger images
    # the first layer, which takes most of the time, is pooled.
    small = min(input_shape[1:]) < 20
    return {
        "channels": [16, 16, 32] if small else [24, 48, 48],
        "kernels": [3, 3, 3] if small else [5, 3, 3],
        "pools": [False, True, True] if small else [True, False, True],
        "same": small,
        "hidden": 128,
        "dropout": 0.0,
    }


def _pooled_resnet_config(input_shape: tuple[int, ...]) -> Config:
    large = min(input_shape[1:]) >= 20
    return {"stem": 5 if large else 3, "pool_stem": large, "channels": [32, 64], "blocks": 1}


def _resnet(depth: int, wider: int = 1) -> NetworkEntry:
    widths = (16, 16, 32, 64) if wider == 1 else (32, 16 * wider, 32 * wider, 64 * wider)
    times = "" if wider == 1 else f", {wider} times as wide"
    return NetworkEntry(
        f"The residual network of {depth} layers for CIFAR{times}.",
        "residual.ResNet",
        _RESIDUAL_RECIPE,
        arguments={"blocks": (depth - 2) // 6, "widths": widths},
    )


def _wide_resnet(depth: int, wider: int) -> NetworkEntry:
    return NetworkEntry(
        f"The wide residual network of {depth} layers for CIFAR, widened {wider} times.",
        "residual.ResNet",
        _RESIDUAL_RECIPE,
        arguments={
            "blocks": (depth - 4) // 6,
            "widths": (16, 16 * wider, 32 * wider, 64 * wider),
            "wide": True,
        },
    )


_CNN_RECIPE = Recipe(800_000, 10, 60, 128, 1e-2, 1e-2)
_RESIDUAL_RECIPE = Recipe(600_000, 10, 60, 128, 1e-2, 1e-2)

NETWORKS: dict[str, NetworkEntry] = {
    "mlp": NetworkEntry(
        "Fully connected layers, for tables or flattened images.",
        "dense.mlp",
        Recipe(1_200_000, 20, 100, 128, 3e-3, 1e-2, {"hidden": [256, 256], "dropout": 0.1}),
        takes_images=False,
        config=lambda input_shape: {"hidden": [64, 64], "dropout": 0.0},
    ),
    "cnn": NetworkEntry(
        "Three convolutions and one hidden layer: fast, for small images.",
        "convolutional.cnn",
        _CNN_RECIPE,
        config=_cnn_config,
    ),
    "small_cnn": NetworkEntry(
        "Three convolutions of 8, 16 and 32 channels and one linear layer: a small student.",
        "convolutional.small_cnn",
        _CNN_RECIPE,
    ),
    "resnet": NetworkEntry(
        "A small residual network with max pooling: slower than cnn, for harder images.",
        "residual.pooled_resnet",
        _RESIDUAL_RECIPE,
        config=_pooled_resnet_config,
    ),
    "resnet8": _resnet(8),
    "resnet14": _resnet(14),
    "resnet20": _resnet(20),
    "resnet32": _resnet(32),
    "resnet56": _resnet(56),
    "resnet8x4": _resnet(8, wider=4),
    "resnet32x4": _resnet(32, wider=4),
    "wrn_16_1": _wide_resnet(16, 1),
    "wrn_16_2": _wide_resnet(16, 2),
    "wrn_40_1": _wide_resnet(40, 1),
    "wrn_40_2": _wide_resnet(40, 2),
}
