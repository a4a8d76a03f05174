"""Resize feature maps to a common size."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def to_common_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Average two stacks of maps down to the smaller height and width of the two.

    Parameters
    ----------
    a, b : Tensor of shape (n, channels, height, width)

    Returns
    -------
    a, b : Tensor of shape (n, channels, min height, min width)
        The input tensor itself where its size fits.
    """
    size = (min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3]))
    first = a if a.shape[2:] == size else F.adaptive_avg_pool2d(a, size)
    second = b if b.shape[2:] == size else F.adaptive_avg_pool2d(b, size)
    return first, second
