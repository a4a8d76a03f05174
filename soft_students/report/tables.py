"""The tables of a report, with cells as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from soft_students.evaluation import METRICS

_MAIN = {
    "classification": ("accuracy", "agreement", "kl_to_teacher", "ece"),
    "regression": ("r2", "r2_to_teacher", "mae"),
}
_COSTS = ("latency_us", "bytes")


@dataclass(frozen=True)
class Cell:
    """A figure, and its interval as `sub`, which may be empty."""

    value: str
    sub: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a table: its heading, the heading's kind, and the cells."""

    name: str
    kind: str
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """The headings of all columns but the first, and the lines."""

    headings: list[str]
    lines: list[Line]


def models_table(results: Mapping[str, Any]) -> Table:
    """Return all models with the main metrics, students in the order of the ranking."""
    front = results["ranking"]["pareto"]
    models = _models(results)
    metrics = [m for m in _MAIN[results["task"]] if any(m in of["test"] for of in models.values())]
    lines = []
    for name, of in models.items():
        seconds = of.get("seconds")
        cells = [_cell(metric, of["test"].get(metric)) for metric in metrics]
        cells += [_cell(metric, of["cost"].get(metric)) for metric in _COSTS]
        cells.append(Cell("" if seconds is None else _duration(seconds)))
        kind = kind_of(name, results)
        place = {"teacher": "", "excluded": "excluded"}
        cells.append(Cell(place.get(kind, "yes" if name in front else "no")))
        lines.append(Line(_called(name, results), kind, cells))
    headings = [_heading(metric) for metric in (*metrics, *_COSTS)]
    return Table([*headings, "trained in", "Pareto"], lines)


def ranking_table(results: Mapping[str, Any]) -> Table:
    """Return the ranked students with their scores, criteria and normalized values."""
    ranking = results["ranking"]
    lines = []
    for name in ranking["order"]:
        of = results["students"][name]
        cells = [Cell(f"{ranking['scores'][name]:.3f}")]
        for criterion in ranking["weights"]:
            found = of["validation"].get(criterion) or of["cost"].get(criterion)
            value = None if found is None else found["value"]
            comparable = f"{ranking['normalized'][name][criterion]:.3f}"
            cells.append(Cell(METRICS[criterion].show(value), comparable))
        cells.append(Cell(f"{ranking['sensitivity']['win_shares'][name]:.0%}"))
        lines.append(Line(name, kind_of(name, results), cells))
    weighed = [
        _heading(criterion) + Markup(f" ×\N{NO-BREAK SPACE}{weight:.2f}")
        for criterion, weight in ranking["weights"].items()
    ]
    return Table(["score", *weighed, "wins with random weights"], lines)


def figures_table(results: Mapping[str, Any]) -> Table:
    """Return all figures, with a line per metric and a column per model."""
    models = _models(results)
    lines = []
    for part in ("test", "cost"):
        for metric in METRICS:
            if any(metric in of[part] for of in models.values()):
                cells = [_cell(metric, of[part].get(metric)) for of in models.values()]
                lines.append(Line(_heading(metric), "metric", cells))
    return Table([_called(name, results) for name in models], lines)


def kind_of(model: str, results: Mapping[str, Any]) -> str:
    """Return the kind of a model: "teacher", "chosen", "excluded" or "student"."""
    if model == "teacher":
        return "teacher"
    if model == results["ranking"]["winner"]:
        return "chosen"
    return "excluded" if model in results["ranking"]["excluded"] else "student"


def _heading(metric: str) -> Markup:
    """Return a metric's title with the arrow of its direction, without a break between them."""
    arrow = "↑" if METRICS[metric].direction == "higher" else "↓"
    return Markup(f"{METRICS[metric].title}\N{NO-BREAK SPACE}{arrow}")


def _models(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    students = results["students"]
    order = [*results["ranking"]["order"], *results["ranking"]["excluded"]]
    return {"teacher": results["teacher"], **{name: students[name] for name in order}}


def _called(name: str, results: Mapping[str, Any]) -> str:
    return f"teacher: {results['teacher']['name']}" if name == "teacher" else name


def _cell(metric: str, of: Mapping[str, Any] | None) -> Cell:
    if of is None or of["value"] is None:
        return Cell("–")
    show = METRICS[metric].show
    if of["low"] is None or of["high"] is None or of["low"] == of["high"]:
        return Cell(show(of["value"]))
    interval = f"{show(of['low'])} to\N{NO-BREAK SPACE}{show(of['high'])}"
    return Cell(show(of["value"]), Markup(interval))


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
