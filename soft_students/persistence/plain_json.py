"""JSON that every reader takes: plain values in ASCII, and null for what is no finite number."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from soft_students.persistence.atomic import atomic_write


def json_text(value: Any, indent: int = 1) -> str:
    """Return a value as JSON.

    Parameters
    ----------
    value : object
        Plain values, numbers of numpy, and mappings, lists and tuples of them. NaN and infinity
        become null.
    indent : int, default=1

    Returns
    -------
    str
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON, as `json_text` gives it; the file is whole, or it is not there.

    Parameters
    ----------
    path : path-like
        An existing file is replaced.
    value : object
    """
    with atomic_write(path) as file:
        file.write(json_text(value).encode() + b"\n")


def plain(value: Any) -> Any:
    """Return plain JSON values: keys are text, tuples are lists, NaN and infinity are None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if getattr(value, "shape", None) == ():  # a number of numpy
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
