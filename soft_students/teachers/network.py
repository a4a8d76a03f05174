"""Networks that teacher files can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from soft_students.networks.zoo import complete_config, get_network, make_network


class BuiltNetwork(nn.Module):
    """An untrained network for a teacher, with the values that rebuild it.

    It maps float32 of shape (n, *input_shape) to logits (n, n_classes).

    Parameters
    ----------
    arch : str
        Key of `soft_students.networks.zoo.NETWORKS`.
    input_shape : tuple of int
        (channels, height, width) of images; any shape for "mlp".
    n_classes : int
    config : dict, default=None
        Settings that differ from those of the network's recipe. The attribute is complete and of
        plain JSON values.

    Raises
    ------
    ValueError
        If the network cannot be built from these values; the message names the fault.

    Examples
    --------
    >>> from soft_students.teachers.network import BuiltNetwork
    >>> BuiltNetwork("mlp", (30,), 2).config
    {'hidden': [256, 256], 'dropout': 0.1}
    """

    def __init__(
        self,
        arch: str,
        input_shape: tuple[int, ...],
        n_classes: int,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.input_shape = tuple(input_shape)
        self.n_classes = n_classes
        settings = get_network(arch).recipe.config | dict(config or {})
        self.config = complete_config(arch, self.input_shape, settings)
        self.layers = make_network(arch, self.input_shape, n_classes, self.config)
        # Twice as fast as the default layout for these sizes on a CPU; without effect on other
        # weights.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.layers(inputs)
