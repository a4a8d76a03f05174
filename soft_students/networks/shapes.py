"""Shape of one input."""

from __future__ import annotations

import math
from collections.abc import Sequence


def shape_of_rows(
    given: Sequence[int] | None, n_features: int, *, takes_images: bool
) -> tuple[int, ...]:
    """Return the shape to which rows are reshaped.

    Parameters
    ----------
    given : sequence of int or None
        None: square images of one channel if the network takes images and the number of features
        is a square number; flat rows otherwise.
    n_features : int
    takes_images : bool

    Raises
    ------
    ValueError
        If the given shape does not match the number of features.
    """
    if given is None:
        side = math.isqrt(n_features)
        square = takes_images and side * side == n_features
        return (1, side, side) if square else (n_features,)
    shape = three_sides(given)
    if math.prod(shape) != n_features:
        raise ValueError(
            f"input_shape {shape} takes {math.prod(shape)} features per row. X has {n_features}."
        )
    return shape


def three_sides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of an input as a tuple; (height, width) becomes (1, height, width)."""
    sides = tuple(int(side) for side in shape)
    if not sides or min(sides) < 1:
        raise ValueError(f"The input_shape must hold positive ints. Got {shape!r}.")
    return (1, *sides) if len(sides) == 2 else sides
