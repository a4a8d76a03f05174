"""Every method by name: the one list from which exports, the command line and docs come.

Nothing heavy is imported here: a method's class, and torch behind it, at first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from soft_students.choices import choose, did_you_mean
from soft_students.methods.facts import MethodEntry, read_exports, read_method

if TYPE_CHECKING:
    from soft_students.methods.base import Combination, Method

_METHODS = [
    "soft_students.methods.kd:KD",
    "soft_students.methods.ft:FT",
    "soft_students.methods.pkt:PKT",
    "soft_students.methods.rkd:RKD",
    "soft_students.methods.cc:CC",
    "soft_students.methods.fitnet:FitNet",
    "soft_students.methods.vid:VID",
    "soft_students.methods.sp:SP",
    "soft_students.methods.at:AT",
    "soft_students.methods.nst:NST",
    "soft_students.methods.fsp:FSP",
    "soft_students.methods.ab:AB",
    "soft_students.methods.bss:BSS",
    "soft_students.methods.byot:BYOT",
    "soft_students.methods.cskd:CSKD",
    "soft_students.methods.ddgsd:DDGSD",
    "soft_students.methods.dml:DML",
    "soft_students.methods.grafting:Grafting",
    "soft_students.methods.cgan:CGAN",
    "soft_students.methods.dafl:DAFL",
    "soft_students.methods.dkd:DKD",
    "soft_students.methods.dist:DIST",
    "soft_students.methods.logit_std:LogitStandardization",
    "soft_students.methods.ttm:TTM",
    "soft_students.methods.ttm:WTTM",
    "soft_students.methods.crd:CRD",
]


def entries() -> dict[str, MethodEntry]:
    """Return the facts of every method by its key: title, paper, needs; nothing is imported.

    Examples
    --------
    >>> from soft_students.methods import entries
    >>> entries()["kd"].title
    'Soft targets'
    """
    found = [read_method(*address.split(":")) for address in _METHODS]
    return {entry.key: entry for entry in found}


def available() -> dict[str, type[Method]]:
    """Return the classes of all methods by key.

    Examples
    --------
    >>> from soft_students.methods import available
    >>> available()["kd"].__name__
    'KD'
    """
    return {key: entry.load() for key, entry in entries().items()}


def exported() -> dict[str, str]:
    """Return the module of each method's class and of what else its file offers, by name."""
    found: dict[str, str] = {}
    for address in _METHODS:
        module, _, class_name = address.partition(":")
        found |= dict.fromkeys((class_name, *read_exports(module)), module)
    return found


def get_entry(key: str) -> MethodEntry:
    """Return the facts of one method by its key.

    Raises
    ------
    ValueError
        If the key is unknown; the message suggests the nearest one.
    """
    return choose(entries(), key, "method")


def get_method(key: str) -> type[Method]:
    """Return one method's class by its key; see `get_entry`."""
    method: type[Method] = get_entry(key).load()
    return method


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
    from soft_students.methods.base import Combination, Method

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
                f"A method must be one of {', '.join(entries())} or an instance of Method. Got "
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
                raise ValueError(
                    f"The method {key!r} has no parameter {name!r}.{did_you_mean(known, name)} "
                    f"It has: {', '.join(known) or 'none'}."
                )
    return by_key
