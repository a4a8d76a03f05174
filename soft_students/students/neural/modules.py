"""The networks a neural student can be, by name.

Activation functions are modules of their own everywhere, so that a method can look before and after
them (``"activation2:input"``, ``"activation2"``).
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from soft_students.choices import choose

#: Makes a network from the shape of one input and the number of classes.
Factory = Callable[[tuple[int, ...], int], nn.Module]


def mlp(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return two hidden layers of 64 units: for tables."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = math.prod(input_shape)
    for i in (1, 2):
        layers[f"linear{i}"] = nn.Linear(width, 64, bias=False)
        layers[f"norm{i}"] = nn.BatchNorm1d(64)
        layers[f"activation{i}"] = nn.ReLU()
        width = 64
    layers["classifier"] = nn.Linear(width, n_classes)
    return nn.Sequential(layers)


def small_cnn(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return three 3 x 3 convolutions of 8, 16 and 32 channels, pooled, and one linear layer."""
    channels, height, width = _image(input_shape, "small_cnn")
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


class ResidualBlock(nn.Module):
    """Basic block of a residual network.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int

    References
    ----------
    He, Zhang, Ren and Sun (2016), "Deep residual learning for image recognition", section 3.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.activation1 = nn.ReLU()
        self.convolution2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.activation2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps."""
        inner = self.activation1(self.norm1(self.convolution1(x)))
        return self.activation2(self.norm2(self.convolution2(inner)) + self.shortcut(x))


class WideBlock(nn.Module):
    """Pre-activation block of a wide residual network.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int

    References
    ----------
    Zagoruyko and Komodakis (2016), "Wide residual networks", arXiv:1605.07146, section 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.activation1 = nn.ReLU()
        self.convolution1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.activation2 = nn.ReLU()
        self.convolution2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps."""
        before = self.activation1(self.norm1(x))
        inner = self.activation2(self.norm2(self.convolution1(before)))
        # where shapes change, the shortcut begins after the activation
        shortcut = x if self.shortcut is None else self.shortcut(before)
        return self.convolution2(inner) + shortcut


class ResNet(nn.Module):
    """Residual network for small images: three stages, each half the size of the one before.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, height, width).
    n_classes : int
    blocks : int
        In each stage.
    widths : tuple of int
        Channels of the stem and of the three stages.
    wide : bool, default=False
        Pre-activation blocks, and a normalised activation after the last.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        *,
        blocks: int,
        widths: tuple[int, int, int, int],
        wide: bool = False,
    ) -> None:
        super().__init__()
        channels, *_ = _image(input_shape, "resnet")
        stem: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)]
        if not wide:
            stem += [nn.BatchNorm2d(widths[0]), nn.ReLU()]
        self.stem = nn.Sequential(*stem)
        block = WideBlock if wide else ResidualBlock
        stages = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            first = block(inputs, outputs, stride=1 if i == 0 else 2)
            rest = [block(outputs, outputs, stride=1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(first, *rest))
        self.stages = nn.Sequential(*stages)
        self.end = nn.Sequential(*([nn.BatchNorm2d(widths[3]), nn.ReLU()] if wide else []))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(widths[3], n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        maps = self.end(self.stages(self.stem(x)))
        return self.classifier(self.flatten(self.pool(maps)))


def _resnet(depth: int, *, wider: int = 1) -> Factory:
    blocks = (depth - 2) // 6
    widths = (16, 16, 32, 64) if wider == 1 else (32, 16 * wider, 32 * wider, 64 * wider)
    return partial(ResNet, blocks=blocks, widths=widths)


def _wide_resnet(depth: int, wider: int) -> Factory:
    widths = (16, 16 * wider, 32 * wider, 64 * wider)
    return partial(ResNet, blocks=(depth - 4) // 6, widths=widths, wide=True)


#: Networks by name. Of ResNets the depth, and how many times wider than the original they are.
MODULES: dict[str, Factory] = {
    "mlp": mlp,
    "small_cnn": small_cnn,
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


def make_module(name: str, input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return an untrained network by name.

    Parameters
    ----------
    name : str
        A key of `MODULES`.
    input_shape : tuple of int
        (channels, height, width) of images; any shape for "mlp".
    n_classes : int

    Raises
    ------
    ValueError
        If there is none of that name, or it cannot take such inputs.

    Examples
    --------
    >>> import torch
    >>> from soft_students.students.neural.modules import make_module
    >>> make_module("resnet8", (1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return choose(MODULES, name, "module")(tuple(input_shape), n_classes)


def takes_images(name: str) -> bool:
    """Return whether a network of `MODULES` needs images."""
    return name != "mlp"


def reset(module: nn.Module) -> nn.Module:
    """Draw new initial weights for every part of a network that knows how to; return it."""
    for part in module.modules():
        initialise = getattr(part, "reset_parameters", None)
        if callable(initialise):
            with torch.no_grad():
                initialise()
    return module


def _image(input_shape: tuple[int, ...], name: str) -> tuple[int, int, int]:
    if len(input_shape) != 3:
        raise ValueError(
            f"The module {name!r} takes images of shape (channels, height, width). Got inputs of "
            f"shape {tuple(input_shape)}: set input_shape, or use module='mlp'."
        )
    channels, height, width = input_shape
    if min(height, width) < 4:
        raise ValueError(
            f"The module {name!r} takes images of at least 4 x 4 pixels. Got {height} x {width}: "
            "use module='mlp'."
        )
    return channels, height, width
