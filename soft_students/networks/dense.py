"""Fully connected networks."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn


def mlp(
    input_shape: tuple[int, ...], n_classes: int, *, hidden: Sequence[int], dropout: float
) -> nn.Module:
    """Return an untrained multi-layer perceptron.

    Parameters
    ----------
    input_shape : tuple of int
    n_classes : int
    hidden : sequence of int
        Units of each hidden layer.
    dropout : float
        Fraction of hidden units that are dropped in training.
    """
    hidden, dropout = list(hidden), float(dropout)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = math.prod(input_shape)
    for i, units in enumerate(hidden, start=1):
        layers[f"linear{i}"] = nn.Linear(width, units, bias=False)
        layers[f"norm{i}"] = nn.BatchNorm1d(units)
        layers[f"activation{i}"] = nn.ReLU()
        if dropout:
            layers[f"dropout{i}"] = nn.Dropout(dropout)
        width = units
    layers["classifier"] = nn.Linear(width, n_classes)
    return nn.Sequential(layers)
