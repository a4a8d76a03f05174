"""Every public name of the package, with the room where it is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import soft_students

#: The rooms in the order of the data; others follow by name.
ORDER = (
    "soft_students",
    "soft_students.datasets",
    "soft_students.teachers",
    "soft_students.targets",
    "soft_students.transfer",
    "soft_students.students",
    "soft_students.methods",
    "soft_students.labelled",
    "soft_students.dask",
    "soft_students.evaluation",
    "soft_students.explain",
    "soft_students.export",
    "soft_students.knowledge",
    "soft_students.ranking",
    "soft_students.comparison",
    "soft_students.report",
    "soft_students.persistence",
)

#: Modules without a page: names of scikit-learn, gathered for this package.
INTERNAL = {"soft_students.sklearn_private"}


@dataclass
class PublicName:
    """A name of some ``__all__``.

    Parameters
    ----------
    path : str
        The shortest path under which it is imported.
    value : object
    room : str
        The module of that path.
    is_elsewhere : bool, default=False
        Whether a page of the catalogues documents it.
    """

    path: str
    value: Any
    room: str
    is_elsewhere: bool = False

    @property
    def short(self) -> str:
        """The name without its module."""
        return self.path.rpartition(".")[2]

    @property
    def is_class(self) -> bool:
        """Whether it is a class."""
        return inspect.isclass(self.value)

    @property
    def is_function(self) -> bool:
        """Whether it is a function."""
        return inspect.isfunction(self.value)

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring, on one line, without marks of footnotes."""
        text = inspect.getdoc(self.value) or ""
        return " ".join(re.sub(r" \[\d+\]_", "", text.partition("\n\n")[0]).split())

    @property
    def source(self) -> str:
        """The module that defines it."""
        return str(getattr(self.value, "__module__", self.room))


def rooms() -> dict[str, ModuleType]:
    """Return the public modules by name: those right within the package."""
    found = {"soft_students": soft_students}
    for module in pkgutil.iter_modules(soft_students.__path__, "soft_students."):
        if module.name not in INTERNAL:
            found[module.name] = importlib.import_module(module.name)
    ranked = sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else 99, name))
    return {name: found[name] for name in ranked}


def names_of(room: ModuleType) -> list[str]:
    """Return what a room offers: its ``__all__``, or else what it defines itself."""
    if hasattr(room, "__all__"):
        return [name for name in room.__all__ if not name.startswith("_")]
    return [
        name
        for name, value in vars(room).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == room.__name__
    ]


def public_names() -> dict[str, PublicName]:
    """Return every public name, once: in the first room that offers it.

    The catalogues of students and of methods are both asked by ``available``; such names, which
    different rooms give to different things, are kept under their full path.
    """
    found: dict[str, PublicName] = {}
    for room_name, room in rooms().items():
        for name in names_of(room):
            value = getattr(room, name)
            if name not in found:
                found[name] = PublicName(f"{room_name}.{name}", value, room_name)
            elif found[name].value is not value:
                found[f"{room_name}.{name}"] = PublicName(f"{room_name}.{name}", value, room_name)
    return found
