"""The reference pages, written from the package before Sphinx reads them: none is kept in git.

One page a student and one a method, from the two catalogues; one page a room of the package with
its functions, and one a class, from ``__all__``; one page of the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalogue_pages import method_pages, student_pages
from command_page import command_page
from docutils import nodes
from package_pages import room_pages
from public_names import PublicName, public_names
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

FOLDER = "reference"


#: Filled when the pages are written.
_NAMES: dict[str, PublicName] = {}


def write_pages(app: Sphinx) -> None:
    """Write every page that differs from what is there, and remove those that are no more."""
    names = public_names()
    _NAMES.update(names)
    pages = {"commands.rst": command_page()}
    pages |= student_pages(names)
    pages |= method_pages(names)
    pages |= room_pages(names)  # the last: what has a page already is only linked
    folder = Path(app.srcdir) / FOLDER
    for path in set(folder.rglob("*.rst")) - {folder / page for page in pages}:
        path.unlink()
    for page, text in pages.items():
        path = folder / page
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def resolve_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.Element
) -> nodes.reference | None:
    """Link a public name that a docstring gives without its room, or where it is defined."""
    if node.get("refdomain") != "py":
        return None
    room, _, short = node["reftarget"].rpartition(".")
    if short not in _NAMES or (room and not room.startswith("soft_students")):
        return None
    objects = env.domains.python_domain.objects
    found = objects.get(_NAMES[short].path)
    if found is None:
        return None
    return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contents, short)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages when the builder starts."""
    app.connect("builder-inited", write_pages)
    app.connect("missing-reference", resolve_short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
