"""Bounds of what a configuration may ask for, since it may come from a file."""

from __future__ import annotations

#: Most layers of one kind, and most blocks of a residual network.
MOST_LAYERS = 64


def check_sizes(**sizes: object) -> None:
    """Refuse sizes, or lists of them, that torch would accept and fail on later.

    Raises
    ------
    ValueError
        If a size is not an int in the range [1, 65536], or a list is too long.
    """
    for name, value in sizes.items():
        if isinstance(value, list) and len(value) > MOST_LAYERS:
            raise ValueError(f"{name!r} holds more than {MOST_LAYERS} values")
        for size in value if isinstance(value, list) else [value]:
            if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= 65536:
                raise ValueError(f"{name!r} must hold ints in the range [1, 65536], got {value!r}")
