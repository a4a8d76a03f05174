"""Write the tables of README.md and docs/ from the catalogues: `python docs/tables.py`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path

from soft_students.explain.prediction import explain, explained_students
from soft_students.methods import entries
from soft_students.students import StudentEntry, available

DOCS = Path(__file__).parent
_SITES = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}


def students() -> str:
    """Return one row a student: its class, and what it is good for."""
    rows = []
    for name, entry in _students().items():
        extra = f" (`soft-students[{entry.extra}]`)" if entry.extra else ""
        rows.append([f"`{name}`", f"`{entry.class_names[0]}`{extra}", entry.summary])
    return _table(["name", "in Python", "good for"], rows)


def learning() -> str:
    """Return one row a student: how it learns soft targets."""
    rows = [[f"`{name}`", entry.learns] for name, entry in _students().items()]
    return _table(["student", "how soft targets are learnt"], rows)


def explanations() -> str:
    """Return one row a student that explains its predictions: what is shown, and by which class."""
    rows = []
    for name in explained_students():
        cls = available()[name].classes[0]
        shown = getattr(cls, "_contributions", None)
        kind = "ContributionExplanation"
        if shown is None:
            shown = explain.dispatch(cls)
            kind = inspect.get_annotations(shown)["return"]
        line = (inspect.getdoc(shown) or "").partition("\n")[0].removeprefix("Return ").rstrip(".")
        rows.append([f"`{name}`", line.replace("``", "`"), f"`{kind}`"])
    return _table(["student", "what is shown", "kind"], rows)


def methods() -> str:
    """Return one row a method: its name, its paper and what it needs."""
    rows = []
    for key, method in entries().items():
        needs = ", ".join(sorted(method.needs - {"data"})) or "rows"
        if "data" not in method.needs:
            needs += ", no rows"
        paper = f"{method.paper.authors} {method.paper.year}, {_link(method.paper.link)}"
        rows.append([f"`{key}`", method.title, paper, needs])
    return _table(["key", "method", "paper", "needs"], rows)


#: The function that makes each table, by its page; the table stands between two comments.
TABLES: dict[Path, Callable[[], str]] = {
    DOCS.parent / "README.md": students,
    DOCS / "students.md": learning,
    DOCS / "explain.md": explanations,
    DOCS / "methods.md": methods,
}


def page(path: Path) -> str:
    """Return the text of a page with its table as it should be."""
    make = TABLES[path]
    begin, end = f"<!-- {make.__name__}: begin -->\n", f"<!-- {make.__name__}: end -->\n"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    return before + begin + make() + end + after


def _students() -> dict[str, StudentEntry]:
    """Return the students of this package, by name."""
    return {
        name: entry
        for name, entry in available().items()
        if all(module.startswith("soft_students.") for module in entry.modules.values())
    }


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines, ""])


def _link(link: str) -> str:
    kind, _, number = link.partition(":")
    site = _SITES.get(kind)
    return link if site is None else f"[{link}]({site}{number})"


if __name__ == "__main__":
    for path in TABLES:
        path.write_text(page(path), encoding="utf-8")
