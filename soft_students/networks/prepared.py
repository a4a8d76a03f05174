"""What is done with whole networks, whichever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Prepared(nn.Module):
    """A network together with the preprocessing of its inputs, so that all networks take the same.

    Parameters
    ----------
    module : nn.Module
        Layers are named by their path in it.
    preprocess : callable, default=None
        Maps inputs of shape (n, *input_shape) to the inputs of `module`.
    input_shape : tuple of int, default=None
        Shape of one input. None leaves inputs in the shape that they have.
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
    """Put modules into eval mode temporarily; each submodule then returns to its own mode.

    Only the flags are touched: ``eval()`` may do more than that, such as merging adapters, and
    exported modules refuse it. Arguments that are no modules are left alone.
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
    """Draw new initial weights for every part of a network that can; return the network."""
    for part in module.modules():
        initialise = getattr(part, "reset_parameters", None)
        if callable(initialise):
            with torch.no_grad():
                initialise()
    return module
