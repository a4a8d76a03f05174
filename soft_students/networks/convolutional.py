"""Small convolutional networks."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn


def cnn(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    channels: Sequence[int],
    kernels: Sequence[int],
    pools: Sequence[bool],
    same: bool,
    hidden: int,
    dropout: float,
) -> nn.Module:
    """Return an untrained CNN: convolutions with batch norm, then one hidden layer.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, height, width).
    n_classes : int
    channels, kernels : sequence of int
        Output channels and kernel size of each convolution.
    pools : sequence of bool
        Whether each convolution is followed by 2 x 2 max pooling.
    same : bool
        Whether convolutions pad their inputs to keep the size.
    hidden : int
        Units of the hidden layer.
    dropout : float
        Fraction of hidden units that are dropped in training.
    """
    channels, kernels, pools = list(channels), list(kernels), list(pools)
    dropout = float(dropout)
    width, *size = input_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (outputs, kernel, pool) in enumerate(zip(channels, kernels, pools, strict=True), 1):
        padding = kernel // 2 if same else 0
        layers[f"convolution{i}"] = nn.Conv2d(width, outputs, kernel, padding=padding, bias=False)
        size = [side + 2 * padding - kernel + 1 for side in size]
        if pool:  # before the next two layers: on a quarter of the pixels they cost a quarter
            layers[f"pool{i}"] = nn.MaxPool2d(2)
            size = [side // 2 for side in size]
        layers[f"norm{i}"] = nn.BatchNorm2d(outputs)
        layers[f"activation{i}"] = nn.ReLU()
        width = outputs
    if min(size) < 1:
        raise ValueError("no pixel is left after the last layer")
    layers["flatten"] = nn.Flatten()
    layers["hidden"] = nn.Linear(width * math.prod(size), hidden, bias=False)
    layers["hidden_norm"] = nn.BatchNorm1d(hidden)
    layers["hidden_activation"] = nn.ReLU()
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    layers["classifier"] = nn.Linear(hidden, n_classes)
    return nn.Sequential(layers)


def small_cnn(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return an untrained CNN: 3 x 3 convolutions of 8, 16 and 32 channels, one linear layer."""
    channels, height, width = input_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, outputs in enumerate((8, 16, 32), start=1):
        layers[f"convolution{i}"] = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
        layers[f"norm{i}"] = nn.BatchNorm2d(outputs)
        layers[f"activation{i}"] = nn.ReLU()
        if i < 3 and min(height, width) >= 4:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
            height, width = height // 2, width // 2
        channels = outputs
    layers["pool"] = nn.AdaptiveAvgPool2d((min(height, 2), min(width, 2)))
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels * min(height, 2) * min(width, 2), n_classes)
    return nn.Sequential(layers)
