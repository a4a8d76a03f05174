"""Look-up by name, with error messages that list the known names and suggest the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def choose(known: Mapping[str, T], name: str, what: str) -> T:
    """Return the value of a name, or raise an error that lists the known names.

    Parameters
    ----------
    known : dict of str to object
    name : str
    what : str
        Kind of thing that the name denotes, such as "metric".

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
    """Return the error message for an unknown name."""
    known = list(known)
    hint = did_you_mean(known, name)
    return f"Unknown {what} {name!r}. Available: {', '.join(known) or 'none'}.{hint}"


def did_you_mean(known: Iterable[str], name: object) -> str:
    """Return " Did you mean ...?" with the nearest known name; "" if none is near.

    >>> did_you_mean(["red", "green"], "gren")
    " Did you mean 'green'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def listed(names: Sequence[str], limit: int = 20) -> str:
    """Return names for a message: the first `limit`, and the number of the others."""
    text = ", ".join(repr(name) for name in names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"
