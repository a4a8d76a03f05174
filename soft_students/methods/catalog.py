"""The catalogue of methods: the one place where a method is registered."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from soft_students.methods.ab import AB
from soft_students.methods.at import AT
from soft_students.methods.base import Combination, Method
from soft_students.methods.bss import BSS
from soft_students.methods.byot import BYOT
from soft_students.methods.cc import CC
from soft_students.methods.cgan import CGAN
from soft_students.methods.crd import CRD
from soft_students.methods.cskd import CSKD
from soft_students.methods.dafl import DAFL
from soft_students.methods.ddgsd import DDGSD
from soft_students.methods.dist import DIST
from soft_students.methods.dkd import DKD
from soft_students.methods.dml import DML
from soft_students.methods.fitnet import FitNet
from soft_students.methods.fsp import FSP
from soft_students.methods.ft import FT
from soft_students.methods.grafting import Grafting
from soft_students.methods.kd import KD
from soft_students.methods.logit_std import LogitStandardization
from soft_students.methods.nst import NST
from soft_students.methods.pkt import PKT
from soft_students.methods.rkd import RKD
from soft_students.methods.sp import SP
from soft_students.methods.ttm import TTM, WTTM
from soft_students.methods.vid import VID

_METHODS: list[type[Method]] = [
    KD,
    FT,
    PKT,
    RKD,
    CC,
    FitNet,
    VID,
    SP,
    AT,
    NST,
    FSP,
    AB,
    BSS,
    BYOT,
    CSKD,
    DDGSD,
    DML,
    Grafting,
    CGAN,
    DAFL,
    DKD,
    DIST,
    LogitStandardization,
    TTM,
    WTTM,
    CRD,
]


def available() -> dict[str, type[Method]]:
    """Return the classes of all methods by key.

    Examples
    --------
    >>> from soft_students.methods import available
    >>> available()["kd"].__name__
    'KD'
    """
    return {method.key: method for method in _METHODS}


def get_method(key: str) -> type[Method]:
    """Return the class of a method.

    Raises
    ------
    ValueError
        If the key is unknown; the message suggests the nearest one.
    """
    methods = available()
    if key in methods:
        return methods[key]
    near = difflib.get_close_matches(str(key), methods, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Unknown method {key!r}. Available: {', '.join(methods)}.{hint}")


def make_method(
    method: str | Method | Sequence[str | Method],
    parameters: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> Combination:
    """Build a method, or a combination of several, from keys, instances and parameters.

    Parameters
    ----------
    method : str, Method or sequence of them
        One string may hold several keys: ``"rkd,kd"``.
    parameters : dict, default=None
        For one method, by parameter: ``{"angle_weight": 50}``. For any number, by key and
        parameter: ``{"rkd.angle_weight": 50}`` or ``{"rkd": {"angle_weight": 50}}``.
    defaults : dict, default=None
        By key, parameters of named methods that `parameters` does not set.

    Returns
    -------
    Combination

    Raises
    ------
    ValueError
        If a key or a parameter is unknown; the message suggests the nearest one.
    TypeError
        If an element is neither a key nor a method.
    """
    given = [method] if isinstance(method, (str, Method)) else list(method)
    parts: list[str | Method] = []
    for part in given:
        parts += [key.strip() for key in part.split(",")] if isinstance(part, str) else [part]
    classes: dict[str, type[Method]] = {}
    for part in parts:
        if isinstance(part, str):
            classes[part] = get_method(part)
        elif not isinstance(part, Method):
            raise TypeError(
                f"A method must be one of {', '.join(available())} or an instance of Method. Got "
                f"{type(part).__name__}."
            )
    by_key = _by_key(parameters or {}, classes)
    made: list[Method] = []
    for part in parts:
        if isinstance(part, Method):
            made.append(part)
            continue
        made.append(classes[part](**{**(defaults or {}).get(part, {}), **by_key[part]}))
    return Combination(made)


def _by_key(
    parameters: Mapping[str, Any], classes: Mapping[str, type[Method]]
) -> dict[str, dict[str, Any]]:
    by_key: dict[str, dict[str, Any]] = {key: {} for key in classes}
    for name, value in parameters.items():
        key, dot, parameter = name.partition(".")
        if not dot and name in classes and isinstance(value, Mapping):
            by_key[name] |= value
        elif not dot and len(classes) == 1:
            by_key[next(iter(classes))][name] = value
        elif dot and key in classes:
            by_key[key][parameter] = value
        else:
            raise ValueError(
                f"The method parameter {name!r} belongs to none of the methods "
                f"{', '.join(classes) or '(none is named)'}. Write it as 'METHOD.parameter'."
            )
    for key, chosen in by_key.items():
        known = sorted(classes[key]().get_params(deep=False))
        for name in chosen:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"The method {key!r} has no parameter {name!r}.{hint} It has: "
                    f"{', '.join(known) or 'none'}."
                )
    return by_key
