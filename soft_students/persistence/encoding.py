"""Encoding of parameters and small fitted values as JSON.

JSON's own types are kept. Other types become an object with one key that starts with two
underscores:

=====================================================  ============================================
``{"__tuple__": [...]}``                               a tuple
``{"__float__": "nan" | "inf" | "-inf"}``              a float that JSON cannot hold
``{"__array__": {"dtype": ..., "values": [...]}}``     a one-dimensional array, of labels or names
``{"__object__": name, "params": {...}}``              an object of a class that the caller allows
``{"__dropped__": type name}``                         a random generator; it comes back as None
=====================================================  ============================================

Decoding builds only these types; no name in a file is imported.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from soft_students.persistence.errors import BundleError

_MAX_DEPTH = 20  # nesting; far above any parameter's, far below Python's recursion limit
_MAX_LABEL_CHARACTERS = 2**24  # count times longest: the size of numpy's fixed-width strings

#: Maps the name of a class to the class, or to None if bundles may not hold its objects.
FindClass = Callable[[str], type[BaseEstimator] | None]

#: Types of array that may stand in the metadata, and the JSON types of their values.
_ARRAY_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    **{f"{sign}int{bits}": (int,) for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": (float,) for bits in (16, 32, 64)},
    "str": (str,),
    "object": (str,),
}


def encode(value: Any, where: str, find_class: FindClass, _depth: int = 0) -> Any:
    """Encode a value in JSON's types.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, list, tuple, dict with str keys, numpy scalar, one-dimensional
        array of these, path (decoded as str), random generator, or object of a class that
        `find_class` returns.
    where : str
        Name of the value, at the beginning of error messages.
    find_class : callable
        Maps a class name to the class to encode under it, or to None.

    Returns
    -------
    object
        Consists of None, bool, int, finite float, str, list and dict.

    Raises
    ------
    TypeError
        If the value is of another type.
    """
    if _depth > _MAX_DEPTH:
        raise TypeError(f"{where} is nested more than {_MAX_DEPTH} levels deep; make it flatter.")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else {"__float__": str(value)}
    # a subclass, such as an enumeration, would be decoded as its base
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is list:
        return [encode(item, where, find_class, _depth + 1) for item in value]
    if type(value) is tuple:
        return {"__tuple__": [encode(item, where, find_class, _depth + 1) for item in value]}
    if type(value) is dict and all(type(key) is str and key[:2] != "__" for key in value):
        return {key: encode(item, where, find_class, _depth + 1) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {"__array__": _encode_array(value, where, find_class)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return {"__dropped__": type(value).__name__}
    if isinstance(value, BaseEstimator):
        name = type(value).__name__
        if find_class(name) is type(value):
            params = value.get_params(deep=False)
            return {"__object__": name, "params": encode(params, where, find_class, _depth + 1)}
    raise TypeError(
        f"{where} must be made of None, bool, int, float, str, list, tuple or dict, or be an "
        "object of soft_students.transfer or soft_students.methods, to be saved in a bundle. Got "
        f"{value!r:.80} of type {type(value).__name__} instead. joblib.dump(student, path) saves "
        "any object; loading such a file runs code from it."
    )


def decode(value: Any, find_class: FindClass, _depth: int = 0) -> Any:
    """Decode a value of `encode`.

    Parameters
    ----------
    value : object
        Untrusted value read by `json`.
    find_class : callable
        See `encode`; no other classes are built.

    Returns
    -------
    object

    Raises
    ------
    BundleError
        If the value is not one of `encode`.
    """
    if _depth > _MAX_DEPTH:
        raise BundleError("its metadata are nested too deeply")
    if isinstance(value, list):
        return [decode(item, find_class, _depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"__tuple__": list(items), **rest} if not rest:
            return tuple(decode(item, find_class, _depth + 1) for item in items)
        case {"__float__": "nan" | "inf" | "-inf" as number, **rest} if not rest:
            return float(number)
        case {"__array__": {"dtype": str(dtype), "values": list(values)}, **rest} if not rest:
            return _decode_array(dtype, [decode(item, find_class, _depth + 1) for item in values])
        case {"__object__": str(name), "params": dict(params), **rest} if not rest:
            kept = find_class(name)
            if kept is None:
                raise BundleError(f"it holds an object of an unknown kind, {name!r:.80}")
            return build(kept, decode(params, find_class, _depth + 1))
        case {"__dropped__": str(), **rest} if not rest:
            return None
    if any(key.startswith("__") for key in value):
        raise BundleError(f"its metadata hold an unknown kind of value, {sorted(value)!r:.80}")
    return {key: decode(item, find_class, _depth + 1) for key, item in value.items()}


def build(cls: type[BaseEstimator], params: dict[str, Any]) -> BaseEstimator:
    """Build an instance of `cls`; missing parameters keep their defaults.

    Raises
    ------
    BundleError
        If `cls` lacks a parameter.
    ValueError
        If a parameter violates its constraints.
    """
    if type(params) is not dict:
        raise BundleError(f"the parameters of its {cls.__name__} are no object")
    unknown = sorted(set(params) - set(cls().get_params(deep=False)))
    if unknown:
        raise BundleError(
            f"{cls.__name__} has no parameter {unknown[0]!r:.80}. It may come from a newer "
            "soft-students; upgrade to read it"
        )
    made = cls(**params)
    if hasattr(made, "_parameter_constraints"):
        made._validate_params()
    return made


def _encode_array(array: np.ndarray, where: str, find_class: FindClass) -> dict[str, Any]:
    dtype = "str" if array.dtype.kind == "U" else array.dtype.name
    values = array.tolist() if array.ndim == 1 else []
    allowed = _ARRAY_TYPES.get(dtype, ())
    if array.ndim != 1 or not all(type(value) in allowed for value in values):
        raise TypeError(
            f"{where} must be a one-dimensional array of bool, numbers or str to be saved in a "
            f"bundle. Got an array of shape {array.shape} and dtype {array.dtype} instead."
        )
    return {"dtype": dtype, "values": [encode(value, where, find_class) for value in values]}


def _decode_array(dtype: str, values: list[Any]) -> np.ndarray:
    allowed = _ARRAY_TYPES.get(dtype)
    if allowed is None or not all(type(value) in allowed for value in values):
        raise BundleError(f"its metadata hold an array that is not one of {dtype!r:.80}")
    if dtype == "str" and len(values) * max(map(len, values), default=0) > _MAX_LABEL_CHARACTERS:
        raise BundleError("its metadata hold labels that are too long")
    try:
        return np.array(values, dtype=dtype)
    except OverflowError as error:
        raise BundleError(f"its metadata hold a number that is no {dtype}") from error
