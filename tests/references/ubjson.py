"""Universal Binary JSON as XGBoost writes it, restated for tests: what they forge models with."""

import struct

import numpy as np

_MARKS = {"int8": b"i", "uint8": b"U", "int32": b"l", "int64": b"L", "float32": b"d"}


def dumps(value):
    """Write dictionaries, lists, strings, ints and arrays; a list of pairs is an object, too."""
    if isinstance(value, Pairs):
        return b"{" + b"".join(_text(key) + dumps(item) for key, item in value) + b"}"
    if isinstance(value, dict):
        return dumps(Pairs(value.items()))
    if isinstance(value, list):
        return b"[#" + _length(len(value)) + b"".join(map(dumps, value))
    if isinstance(value, str):
        return b"S" + _text(value)
    if isinstance(value, np.ndarray):
        mark = _MARKS[value.dtype.name]
        return (
            b"[$"
            + mark
            + b"#"
            + _length(value.size)
            + value.astype(value.dtype.newbyteorder(">")).tobytes()
        )
    if -128 <= value < 128:
        return b"i" + struct.pack(">b", value)
    return b"L" + struct.pack(">q", value)


class Pairs(list):
    """Keys and values of an object that may hold a key twice."""


def _text(value):
    data = value.encode()
    return _length(len(data)) + data


def _length(value):
    return b"L" + struct.pack(">q", value)
