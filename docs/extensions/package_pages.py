"""One page a room of the package, with its functions; one page a class."""

from __future__ import annotations

import inspect
import sys

from public_names import PublicName, names_of, rooms
from rst import documented_class, heading, link, table, toctree
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer


def room_pages(names: dict[str, PublicName]) -> dict[str, str]:
    """Return the pages by file: all of what no page of the catalogues documents."""
    pages = {}
    listed = []
    for room_name, room in rooms().items():
        offered = [
            names.get(f"{room_name}.{name}", names[name])
            for name in sorted(names_of(room), key=str.lower)
        ]
        if not offered:
            continue
        here = [name for name in offered if name.room == room_name and not name.is_elsewhere]
        short = room_name.removeprefix("soft_students.")
        classes = [name for name in here if name.is_class]
        for name in classes:
            pages[f"api/{name.path}.rst"] = "\n".join(
                [heading(name.short), documented_class(name.path, name.value)]
            )
        parts = [heading(room_name), f".. py:module:: {room_name}\n", f"{inspect.getdoc(room)}\n"]
        parts.append(table(["Name", ""], ([link(name), _summary(name)] for name in offered)))
        if classes:
            parts.append(toctree((name.path for name in classes), "hidden"))
        data = [name for name in here if not (name.is_class or name.is_function)]
        if data:
            parts += [heading("Data", "-"), *map(_documented_data, data)]
        functions = [name for name in here if name.is_function]
        if functions:
            parts.append(heading("Functions", "-"))
            parts += [f".. autofunction:: {name.path}\n" for name in functions]
        pages[f"api/{short}.rst"] = "\n".join(parts)
        listed.append((short, room_name, inspect.getdoc(room) or ""))
    rows = [
        [f":doc:`{room_name} <{short}>`", text.partition("\n\n")[0].replace("\n", " ")]
        for short, room_name, text in listed
    ]
    pages["api/index.rst"] = "\n".join(
        [
            heading("Python API"),
            "Every public name, by the room of the package that offers it. Students and methods of "
            "neural students have pages of their own: :doc:`/reference/students/index`, "
            ":doc:`/reference/methods/index`.\n",
            table(["Module", ""], rows),
            toctree((short for short, *_ in listed), "hidden"),
        ]
    )
    return pages


def _summary(name: PublicName) -> str:
    return name.summary if name.is_class or name.is_function else _comment(name)[0]


def _documented_data(name: PublicName) -> str:
    lines = [f".. py:data:: {name.path}", "", *(f"   {line}" for line in _comment(name))]
    return "\n".join(lines) + "\n"


def _comment(name: PublicName) -> list[str]:
    """Return the ``#:`` comment of a constant, from the module of the room that has it."""
    for module in sorted(sys.modules):
        if module == name.room or module.startswith(f"{name.room}."):
            try:
                found = ModuleAnalyzer.for_module(module).find_attr_docs()
            except PycodeError:
                continue
            if ("", name.short) in found:
                return found["", name.short]
    return [""]
