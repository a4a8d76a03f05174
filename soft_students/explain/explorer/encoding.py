"""Encodes values and arrays as text that is safe in an HTML page."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

_TYPES = ("float64", "float32", "int32", "uint8")  # supported by the page
_DIVISORS = (255, 16, 1)  # pixels are usually multiples of 1/255, 1/16 or 1


def pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array's type, shape and base64-encoded bytes (little-endian, C order).

    Parameters
    ----------
    array : ndarray of float64, float32, int32 or uint8

    Returns
    -------
    dict
        ``dtype``, ``shape``, ``base64``.

    Raises
    ------
    TypeError
        If the array has another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.explain.explorer.encoding import pack
    >>> pack(np.array([[1, 2]], dtype=np.uint8))
    {'dtype': 'uint8', 'shape': [1, 2], 'base64': 'AQI='}
    """
    name = array.dtype.name
    if name not in _TYPES:
        raise TypeError(f"The page reads arrays of {', '.join(_TYPES)}. Got {name}.")
    ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    text = base64.b64encode(ordered.tobytes()).decode("ascii")
    return {"dtype": name, "shape": list(array.shape), "base64": text}


def pack_rows(rows: np.ndarray) -> dict[str, Any]:
    """Return packed rows, as one-byte codes if these reproduce each value exactly.

    Parameters
    ----------
    rows : ndarray of float64 or float32, shape (n, n_features)

    Returns
    -------
    dict
        That of `pack`, with ``divisor`` and ``type``, the dtype of the rows: a value is its code
        divided by the divisor, rounded to ``type``. Both are None without codes.
    """
    for divisor in _DIVISORS:
        codes = np.rint(rows * divisor)
        if codes.size and codes.min() >= 0 and codes.max() <= 255:
            exact = codes.astype(rows.dtype) / rows.dtype.type(divisor)
            if np.array_equal(exact, rows):
                packed = pack(codes.astype(np.uint8))
                return packed | {"divisor": divisor, "type": rows.dtype.name}
    return pack(rows) | {"divisor": None, "type": None}


def to_script(value: Any) -> str:
    r"""Return JSON that is safe inside a ``<script>`` element.

    Parameters
    ----------
    value : object
        As for :func:`json.dumps`, without NaN and infinities.

    Returns
    -------
    str
        ASCII without ``<``, ``>`` and ``&``: no text in it can end the element or open a comment.

    Examples
    --------
    >>> from soft_students.explain.explorer.encoding import to_script
    >>> print(to_script(["</script>"]))
    ["\u003c/script\u003e"]
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def rows_that_fit(n_rows: int, row_bytes: int, *, most: int, budget: int) -> int:
    """Return the number of rows for a page: from one to `most`, about `budget` bytes."""
    return min(n_rows, most, max(1, math.floor(budget / row_bytes)))
