"""Builds the report of a comparison as one HTML file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from markupsafe import Markup
from sklearn.metrics import confusion_matrix

from soft_students.comparison import ChosenAnswers, read_answers
from soft_students.evaluation import get_metric, reliability_curve
from soft_students.explain.palette import css_variables
from soft_students.explain.tree_view import readable
from soft_students.persistence import atomic_write
from soft_students.report.examples import examples
from soft_students.report.plots import (
    Point,
    confusion_plot,
    pareto_plot,
    reliability_plot,
    values_plot,
)
from soft_students.report.tables import figures_table, kind_of, models_table, ranking_table
from soft_students.report.wording import against_teacher, choice, missed, sureness, tiles

_SCHEMA = 1
_PARTS = {
    "task", "data", "teacher", "students", "ranking", "judgements", "mcnemar", "confidence", "seed",
    "jobs", "threads", "versions", "command", "finished",
}  # fmt: skip
_MOST_CLASSES = 30  # in a confusion matrix that is readable
_COSTS = {"latency_us": "µs for one row", "bytes": "bytes"}


def report_page(folder: str | os.PathLike[str]) -> str:
    """Return the report of a comparison as one HTML page.

    The page shows the chosen student, the reasons, its quality and costs beside the teacher's, all
    models in tables and plots, the rows on which student and teacher differ most, and the settings.
    It is self-contained, loads nothing and runs no scripts. The same folder gives the same page.

    Parameters
    ----------
    folder : path-like
        Folder written by `soft_students.comparison.compare_students`.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the folder has no finished comparison.
    ValueError
        If its files are damaged or do not match.
    """
    results = _read_results(Path(folder))
    try:
        if results["ranking"]["winner"] is None:
            return _page_of_none(results)
        answers = read_answers(folder, results["ranking"]["winner"])
        return _page(folder, results, answers)
    except (
        ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, TemplateError,
    ) as error:  # fmt: skip
        raise ValueError(
            f"The files of '{folder}' are damaged ({type(error).__name__}: {error}). Compare again."
        ) from error


def _page(
    folder: str | os.PathLike[str], results: Mapping[str, Any], answers: ChosenAnswers
) -> str:
    data, students = results["data"], results["students"]
    if len(answers.truth) != data["test"]:
        raise ValueError(
            f"The files of '{folder}' do not match: the predictions are of {len(answers.truth)} "
            f"test rows, the results of {data['test']}. Compare again."
        )
    return _rendered(
        "report.html",
        results,
        winner=results["ranking"]["winner"],
        tiles=tiles(results),
        choice=choice(results),
        against=against_teacher(results),
        sureness=sureness(results),
        models=models_table(results),
        ranking=ranking_table(results),
        figures=figures_table(results),
        fronts=_fronts(results),
        compared=_compared(answers, results),
        examples=examples(answers, data["image_shape"], data["feature_names"]),
        n_apart=int(np.sum(np.any(np.atleast_2d((answers.taught != answers.predicted).T), axis=0))),
        failed={n: of for n, of in students.items() if of["status"] == "failed"},
        trained={n: of for n, of in students.items() if of["status"] == "trained"},
        confused=_confused(answers),
    )


def _page_of_none(results: Mapping[str, Any]) -> str:
    """Return the page of a comparison whose limits exclude all students."""
    return _rendered("none_left.html", results, missed=missed(results))


def _rendered(template: str, results: Mapping[str, Any], **parts: Any) -> str:
    environment = Environment(
        loader=PackageLoader("soft_students.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(template).render(
        style=Markup(css_variables() + _asset("report.css")),
        results=results,
        finished=datetime.fromisoformat(results["finished"]).strftime("%Y-%m-%d %H:%M UTC"),
        **parts,
    )


def write_report(
    folder: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = True
) -> Path:
    """Write :func:`report_page` to a file, atomically.

    Parameters
    ----------
    folder : path-like
        Folder written by `soft_students.comparison.compare_students`.
    path : str or path-like
        Must end in ``.html`` or ``.htm``.
    overwrite : bool, default=True
        Whether to replace an existing file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FileNotFoundError, ValueError
        As for :func:`report_page`, or if the path has another suffix.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written. An existing file is then unchanged.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"The path of a report must end in .html. Got '{path}'.")
    page = report_page(folder)
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(page.encode("utf-8"))
    return path


def _read_results(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"The folder '{folder}' has no finished comparison: results.json is missing. Make one: "
            f"softkd compare --out {folder}."
        )
    try:
        results = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The file '{path}' is damaged: {error}. Compare again.") from error
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != _SCHEMA:
        raise ValueError(
            f"The file '{path}' has another version: expected the schema {_SCHEMA}. Got "
            f"{schema!r}. Compare again."
        )
    if missing := sorted(_PARTS - set(results)):
        raise ValueError(
            f"The file '{path}' is damaged: it lacks {', '.join(missing)}. Compare again."
        )
    return results


def _fronts(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return plots of quality against each cost, for models with both known."""
    quality = "accuracy" if results["task"] == "classification" else "r2"
    students, ranking = results["students"], results["ranking"]
    models = {"teacher": results["teacher"]}
    models |= {name: students[name] for name in (*ranking["order"], *ranking["excluded"])}
    drawn = []
    for cost, title in _COSTS.items():
        points = []
        for name, of in models.items():
            found, price = of["test"][quality], of["cost"][cost]["value"]
            if price is not None and price > 0 and found["value"] is not None:
                kind = kind_of(name, results)
                points.append(Point(name, price, found["value"], found["low"], found["high"], kind))
        if points:
            metric = get_metric(quality)
            svg = pareto_plot(points, title, metric.title, percent="%" in metric.format)
            caption = f"On the test rows: {metric.title} against {title}"
            if points[0].kind != "teacher":
                caption += " (unknown for the teacher)"
            drawn.append({"caption": caption, "svg": Markup(svg)})
    return drawn


def _compared(answers: ChosenAnswers, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the same plots for the student and the teacher, in turn."""
    student = results["ranking"]["winner"]
    taught = f"teacher ({results['teacher']['name']})"
    each = (
        (student, "chosen", answers.predicted, answers.proba),
        (taught, "teacher", answers.taught, answers.taught_proba),
    )
    drawn: list[dict[str, Any]] = []

    def add(part: str, name: str, caption: str, svg: str) -> None:
        drawn.append({"part": part, "name": name, "caption": caption, "svg": Markup(svg)})

    for name, kind, predicted, proba in each:
        if not len(answers.classes):
            if answers.truth.ndim == 1:
                add("values", name, "", values_plot(answers.truth, predicted, kind))
            continue
        curve = reliability_curve(proba, answers.truth)
        error = f"calibration error {curve.error:.4f}"
        add("reliability", name, error, reliability_plot(curve, kind))
        if len(answers.classes) <= _MOST_CLASSES:
            names = answers.classes.tolist()
            counts = _confusion(answers, predicted)
            caption = f"{np.trace(counts)} of {counts.sum()} rows correct"
            add("confusion", name, caption, confusion_plot(counts, names, kind))
    return drawn


def _confused(answers: ChosenAnswers) -> list[tuple[str, str, int, int]]:
    """Return the student's commonest errors: true and predicted class, own and teacher's rows."""
    if not len(answers.classes):
        return []
    student = _confusion(answers, answers.predicted)
    teacher = _confusion(answers, answers.taught)
    np.fill_diagonal(student, 0)
    order = np.argsort(-student, axis=None, kind="stable")[:8]
    pairs = [divmod(int(at), len(student)) for at in order]
    names = answers.classes
    return [
        (names[i], names[j], int(student[i, j]), int(teacher[i, j]))
        for i, j in pairs
        if student[i, j]
    ]


def _confusion(answers: ChosenAnswers, predicted: np.ndarray) -> np.ndarray:
    return confusion_matrix(answers.truth, predicted, labels=np.arange(len(answers.classes)))


def _shown(value: Any) -> Any:
    """Return text with unprintable characters escaped and line breaks kept."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(" ".join(map(readable, line.split(" "))) for line in value.split("\n"))


def _asset(name: str) -> str:
    return files("soft_students.report").joinpath("assets", name).read_text(encoding="utf-8")
