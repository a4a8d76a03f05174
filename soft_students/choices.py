"""Choosing by name: the value of a name, or a message that lists the names and the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def choose(known: Mapping[str, T], name: str, what: str) -> T:
    """Return the value of a name.

    Parameters
    ----------
    known : dict of str to object
    name : str
    what : str
        What the name stands for, such as "metric".

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.

    Examples
    --------
    >>> choose({"red": 1, "green": 2}, "green", "colour")
    2
    >>> choose({"red": 1, "green": 2}, "gren", "colour")
    Traceback (most recent call last):
    ValueError: Unknown colour 'gren'. Available: red, green. Did you mean 'green'?
    """
    if name in known:
        return known[name]
    raise ValueError(unknown(known, name, what))


def unknown(known: Iterable[str], name: object, what: str) -> str:
    """Return the message about a name that is not among the known ones."""
    known = list(known)
    hint = did_you_mean(known, name)
    return f"Unknown {what} {name!r}. Available: {', '.join(known) or 'none'}.{hint}"


def did_you_mean(known: Iterable[str], name: object) -> str:
    """Return the question after the nearest name, with a space before it; nothing if none is near.

    >>> did_you_mean(["red", "green"], "gren")
    " Did you mean 'green'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def listed(names: Sequence[str], limit: int = 20) -> str:
    """Return names for a message: the first ones, and how many more there are."""
    text = ", ".join(repr(name) for name in names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"
