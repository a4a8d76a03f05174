"""Activations of the named layers of a network.

A layer's path in the network, such as ``"stages.1"``, names its output, and ``"stages.1:input"``
its input. For an activation function, the latter is the pre-activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from soft_students.choices import did_you_mean
from soft_students.networks.prepared import Prepared, evaluating

INPUT = ":input"


@dataclass(frozen=True)
class Observation:
    """Logits of a network for a batch, and activations of its layers.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
    features : tuple of Tensor
        Activations of the requested layers, in their order; each of shape (n, ...).
    """

    logits: Tensor
    features: tuple[Tensor, ...] = field(default=())


def observe(network: nn.Module, inputs: Tensor, layers: Sequence[str] = ()) -> Observation:
    """Run a network and return its logits and the activations of some layers.

    Parameters
    ----------
    network : nn.Module
        Train or eval mode is not changed; gradients flow if they are enabled.
    inputs : Tensor of shape (n, ...)
    layers : sequence of str
        Names as `list_layers` gives them.

    Returns
    -------
    Observation

    Raises
    ------
    ValueError
        If a layer is unknown, was not used, or gave no tensor, or if its output was changed in
        place later. The first message lists the available layers.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from soft_students.methods import observe
    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> seen = observe(network, torch.zeros(2, 4), ["1:input", "1"])
    >>> [tuple(feature.shape) for feature in seen.features]
    [(2, 8), (2, 8)]
    """
    owner = network.module if isinstance(network, Prepared) else network
    modules = dict(owner.named_modules())
    seen: dict[str, Tensor] = {}
    versions: dict[str, int] = {}

    def keep(name: str, value: object, *, copy: bool = False) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(
                f"The layer {name!r} of {type(owner).__name__} must give one tensor to be "
                f"observed. Got {type(value).__name__}; choose a layer inside it."
            )
        if name not in seen:  # if a layer is used again, keep its first output
            seen[name] = value.clone() if copy else value
            versions[name] = seen[name]._version

    with ExitStack() as stack:
        for name in layers:
            path = name.removesuffix(INPUT)
            if path not in modules or not path:
                raise _unknown_layer(name, owner, inputs, network)
            module = modules[path]
            if name.endswith(INPUT):
                in_place = bool(getattr(module, "inplace", False))
                hook = module.register_forward_pre_hook(
                    lambda _, args, name=name, copy=in_place: keep(name, args[0], copy=copy)
                )
            else:
                hook = module.register_forward_hook(
                    lambda _, args, output, name=name: keep(name, output)
                )
            stack.callback(hook.remove)
        logits = network(inputs)
    for name in layers:
        if name not in seen:
            raise ValueError(
                f"The layer {name!r} of {type(owner).__name__} was not used in its forward pass. "
                "Choose another."
            )
        if seen[name]._version != versions[name]:
            raise ValueError(
                f"The output of the layer {name!r} of {type(owner).__name__} is changed in place "
                "by the layer after it. Set inplace=False there, or observe that layer's input as "
                "'NAME:input'."
            )
    return Observation(logits, tuple(seen[name] for name in layers))


def list_layers(network: nn.Module, inputs: Tensor) -> dict[str, tuple[int, ...]]:
    """Return every layer that `observe` accepts, and the shape of its activation for one row.

    Parameters
    ----------
    network : nn.Module
    inputs : Tensor of shape (n, ...)
        A few rows, passed in eval mode so that the network's statistics do not change.

    Returns
    -------
    dict of str to tuple of int
        Shapes by name, in the order of use. Includes the inputs of activation functions.
    """
    owner = network.module if isinstance(network, Prepared) else network
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, value: object) -> None:
        if isinstance(value, Tensor) and value.ndim >= 2 and len(value) == len(inputs):
            shapes.setdefault(name, tuple(value.shape[1:]))

    with ExitStack() as stack:
        for name, module in owner.named_modules():
            if not name:
                continue
            if is_activation(module):
                before = module.register_forward_pre_hook(
                    lambda _, args, name=name: note(name + INPUT, args[0] if args else None)
                )
                stack.callback(before.remove)
            after = module.register_forward_hook(lambda _, args, out, name=name: note(name, out))
            stack.callback(after.remove)
        peek(network, inputs)
    return shapes


def peek(network: nn.Module, inputs: Tensor, layers: Sequence[str] = ()) -> Observation:
    """Observe a network in eval mode and without gradients, to find shapes.

    A forward pass in train mode would change the statistics of batch normalisation.
    """
    with evaluating(network), torch.no_grad():
        return observe(network, inputs, layers)


_ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Mish,
)


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is an activation function of torch."""
    return isinstance(module, _ACTIVATIONS)


def embedding_layer(network: nn.Module, inputs: Tensor) -> str:
    """Return the name of a network's embedding: the input of its last linear layer.

    Raises
    ------
    ValueError
        If the network has no linear layer.
    """
    owner = network.module if isinstance(network, Prepared) else network
    used = list_layers(network, inputs)
    linear = {name for name, module in owner.named_modules() if isinstance(module, nn.Linear)}
    last = [name for name in used if name in linear]
    if not last:
        raise ValueError(
            f"{type(owner).__name__} has no linear layer, whose input would be its embedding. Name "
            f"a layer: {_listing(used)}."
        )
    return last[-1] + INPUT


def spatial_layers(
    network: nn.Module, inputs: Tensor, *, before_activation: bool = False
) -> list[str]:
    """Return the last feature map of each resolution, from the largest to the smallest.

    Parameters
    ----------
    network : nn.Module
    inputs : Tensor of shape (n, ...)
    before_activation : bool, default=False
        Whether to return the input of the last activation function of each resolution instead.

    Raises
    ------
    ValueError
        If the network has no such layer with feature maps of more than one pixel.
    """
    used = list_layers(network, inputs)
    last: dict[tuple[int, ...], str] = {}
    for name, shape in used.items():
        if len(shape) == 3 and shape[1] * shape[2] > 1:
            if before_activation and not name.endswith(INPUT):
                continue
            if not before_activation and name.endswith(INPUT):
                continue
            last.pop(shape[1:], None)  # keep the order of last use
            last[shape[1:]] = name
    if not last:
        what = "an activation function of feature maps" if before_activation else "feature maps"
        owner = network.module if isinstance(network, Prepared) else network
        raise ValueError(
            f"{type(owner).__name__} has no layer with {what} (channels, height, width). Layers "
            f"and shapes: {_listing(used)}."
        )
    return list(last.values())


def _listing(used: dict[str, tuple[int, ...]], most: int = 40) -> str:
    shown = [f"{name} {shape}" for name, shape in list(used.items())[:most]]
    return ", ".join(shown) + (", ..." if len(used) > most else "")


def _unknown_layer(name: str, owner: nn.Module, inputs: Tensor, network: nn.Module) -> ValueError:
    used = list_layers(network, inputs)
    hint = did_you_mean(_with_inputs(used), name)
    return ValueError(
        f"{type(owner).__name__} has no layer {name!r}.{hint} Layers and shapes: {_listing(used)}. "
        "'NAME:input' is the input of a layer."
    )


def _with_inputs(used: Iterable[str]) -> list[str]:
    names = [name.removesuffix(INPUT) for name in used]
    return [*dict.fromkeys(names), *dict.fromkeys(name + INPUT for name in names)]
