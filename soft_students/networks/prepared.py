"""Operations on whole networks: preprocessing, eval mode and new initial weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Prepared(nn.Module):
    """A network with the preprocessing of its inputs, so that all networks take the same inputs.

    Parameters
    ----------
    module : nn.Module
        The network; layers are named by their path in it.
    preprocess : callable, default=None
        Maps inputs of shape (n, *input_shape) to the inputs of `module`.
    input_shape : tuple of int, default=None
        Shape of one input. None keeps the shape of the inputs.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocess: Callable[[Tensor], Tensor] | None = None,
        input_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.preprocess = preprocess
        self.input_shape = input_shape

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the module, of shape (n, n_classes)."""
        if self.input_shape is not None:
            inputs = inputs.reshape(len(inputs), *self.input_shape)
        return self.module(inputs if self.preprocess is None else self.preprocess(inputs))


@contextmanager
def evaluating(*networks: object) -> Iterator[None]:
    """Temporarily put modules into eval mode, then restore the mode of each submodule.

    Only the flags are set: ``eval()`` may do more, such as merging adapters, and exported modules
    do not support it. Arguments that are not modules are ignored.
    """
    training = [
        part
        for network in networks
        if isinstance(network, nn.Module)
        for part in network.modules()
        if getattr(part, "training", False)  # a frozen TorchScript module has no mode
    ]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


def reset(module: nn.Module) -> nn.Module:
    """Draw new initial weights where modules have `reset_parameters`; return the network."""
    for part in module.modules():
        initialise = getattr(part, "reset_parameters", None)
        if callable(initialise):
            with torch.no_grad():
                initialise()
    return module
