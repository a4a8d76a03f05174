"""Strict reader of the Universal Binary JSON that XGBoost writes."""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMBERS: dict[bytes, np.dtype[Any]] = {
    b"i": np.dtype(">i1"),
    b"U": np.dtype(">u1"),
    b"I": np.dtype(">i2"),
    b"l": np.dtype(">i4"),
    b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"),
    b"D": np.dtype(">f8"),
}
_MAX_DEPTH = 10


def read_ubjson(data: bytes) -> dict[str, Any]:
    """Read a document whose outermost value is an object.

    Typed arrays become numpy arrays, other values those of `json`. Anything that XGBoost does not
    write, such as repeated keys, raises an error: other readers may interpret it differently.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the data are no such document.
    """
    reader = _Reader(data)
    value = reader.value(0)
    if not isinstance(value, dict) or not reader.is_done():
        raise ValueError("it is not a document of XGBoost, or has data after its end")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def is_done(self) -> bool:
        return self._at == len(self._data)

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        kind = self._take(1)
        if kind == b"{":
            return self._object(depth)
        if kind == b"[":
            return self._array(depth)
        if kind == b"S":
            return self._text()
        if kind in _NUMBERS:
            dtype = _NUMBERS[kind]
            return np.frombuffer(self._take(dtype.itemsize), dtype)[0].item()
        raise ValueError(f"it holds a value of the unknown kind {kind!r}")

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._data[self._at : self._at + 1] != b"}":
            key = self._text()
            if key in found:
                raise ValueError(f"it holds {key!r:.80} twice")
            found[key] = self.value(depth + 1)
        self._at += 1
        return found

    def _array(self, depth: int) -> Any:
        kind = self._take(1)
        dtype = None
        if kind == b"$":
            dtype = _NUMBERS.get(self._take(1))
            kind = self._take(1)
            if dtype is None:
                raise ValueError("it holds an array of an unknown kind")
        if kind != b"#":
            raise ValueError("it holds an array without a length")
        length = self._length()
        if dtype is None:
            # each value takes at least one byte, so a false length ends early
            return [self.value(depth + 1) for _ in range(length)]
        return np.frombuffer(self._take(length * dtype.itemsize), dtype).astype(
            dtype.newbyteorder("=")
        )

    def _text(self) -> str:
        return self._take(self._length()).decode("utf-8")

    def _length(self) -> int:
        if self._take(1) != b"L":
            raise ValueError("it holds a length of an unknown kind")
        length = int.from_bytes(self._take(8), "big", signed=True)
        if not 0 <= length <= len(self._data):
            raise ValueError(f"it claims a length of {length}, more than it holds")
        return length

    def _take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise ValueError("it is truncated")
        self._at += count
        return part
