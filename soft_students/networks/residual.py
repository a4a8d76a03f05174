"""Residual networks for small images."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

_MOST_BLOCKS = 64


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


class PooledBlock(ResidualBlock):
    """Basic block with max pooling in place of a stride, and no normalisation in its shortcut.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    pool : bool
        Whether height and width are halved first.
    """

    def __init__(self, inputs: int, outputs: int, *, pool: bool) -> None:
        super().__init__(inputs, outputs, stride=1)
        if isinstance(self.shortcut, nn.Sequential):
            self.shortcut = self.shortcut[0]
        self.pool: nn.Module = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps."""
        return super().forward(self.pool(x))


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
    """Residual network of three stages, each half the size of the one before.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, height, width).
    n_classes : int
    blocks : int
        Blocks per stage.
    widths : tuple of int
        Channels of the stem and of the three stages.
    wide : bool, default=False
        Use pre-activation blocks, with batch norm and an activation after the last.
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
        stem: list[nn.Module] = [nn.Conv2d(input_shape[0], widths[0], 3, padding=1, bias=False)]
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


def pooled_resnet(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    stem: int,
    pool_stem: bool,
    channels: Sequence[int],
    blocks: int,
) -> nn.Module:
    """Return an untrained residual network of `PooledBlock`.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, height, width).
    n_classes : int
    stem : int
        Kernel size of the first convolution.
    pool_stem : bool
        Whether the first convolution is followed by 2 x 2 max pooling.
    channels : sequence of int
        Channels of each stage; each but the first halves height and width.
    blocks : int
        Blocks per stage.
    """
    channels = list(channels)
    if not channels or len(channels) * blocks > _MOST_BLOCKS:
        raise ValueError(f"there must be 1 to {_MOST_BLOCKS} blocks in all")
    halvings = len(channels) - 1 + bool(pool_stem)
    if min(input_shape[1:]) < 2**halvings:
        raise ValueError(f"no pixel is left after halving the image {halvings} times")
    width = channels[0]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["convolution"] = nn.Conv2d(input_shape[0], width, stem, padding=stem // 2, bias=False)
    if pool_stem:
        layers["pool_stem"] = nn.MaxPool2d(2)
    layers["norm"] = nn.BatchNorm2d(width)
    layers["activation"] = nn.ReLU()
    for stage, outputs in enumerate(channels, start=1):
        for block in range(1, blocks + 1):
            halves = stage > 1 and block == 1
            layers[f"stage{stage}_block{block}"] = PooledBlock(width, outputs, pool=halves)
            width = outputs
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(width, n_classes)
    return nn.Sequential(layers)
