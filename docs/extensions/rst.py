"""Pieces of reStructuredText that the generated pages are made of."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from public_names import PublicName

_METHODS = (classmethod, staticmethod, property, cached_property)


def heading(text: str, line: str = "=") -> str:
    """Return a title with its underline."""
    return f"{text}\n{line * len(text)}\n"


def toctree(pages: Iterable[str], *options: str) -> str:
    """Return a table of contents."""
    lines = ["", *(f"   {page}" for page in pages)]
    return "\n".join([".. toctree::", *(f"   :{option}:" for option in options), *lines]) + "\n"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells of one line each."""
    lines = [".. list-table::", "   :header-rows: 1", "   :class: names", ""]
    for row in (header, *rows):
        lines += [f"   {'  -' if i else '* -'} {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def code(text: str, language: str) -> str:
    """Return a block of code."""
    return f".. code-block:: {language}\n\n" + indented(text) + "\n"


def indented(text: str) -> str:
    """Return a text three columns further right."""
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())


def documented_class(path: str, cls: type) -> str:
    """Return the directive that documents a class with its own public methods.

    Those of scikit-learn and torch are left out: `get_params` a hundred times says nothing new.
    """
    lines = [f".. autoclass:: {path}"]
    methods = own_methods(cls)
    if methods:
        lines.append(f"   :members: {', '.join(methods)}")
    return "\n".join(lines) + "\n"


def own_methods(cls: type) -> list[str]:
    """Return the documented public methods and properties that this package defines."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("soft_students"):
            for name, value in vars(base).items():
                if inspect.isfunction(value) or isinstance(value, _METHODS):
                    found.setdefault(name, value)
    return [
        name
        for name in found
        if not name.startswith("_") and inspect.getdoc(getattr(cls, name, None))
    ]


def link(name: PublicName) -> str:
    """Return a link to a public name, shown short."""
    kind = "class" if name.is_class else "func" if name.is_function else "data"
    return f":py:{kind}:`{name.short} <{name.path}>`"
