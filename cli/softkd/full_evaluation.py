"""The output of `softkd evaluate --full`: metrics with intervals, tests of pairs, disagreements."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

import click
import numpy as np
from rich.table import Table
from sklearn.base import BaseEstimator, is_classifier

from soft_students.evaluation import METRICS, Evaluation
from soft_students.explain.tree_view import readable
from softkd.output import print_table

#: Rows shown as examples on which a student and the teacher differ.
_EXAMPLES = 5


def full_results(
    result: Evaluation, students: dict[str, BaseEstimator], rows: np.ndarray | None
) -> dict[str, Any]:
    """Return the result as JSON values.

    Parameters
    ----------
    result : Evaluation
    students : dict of str to estimator
    rows : ndarray of int or None
        Number of each test row in its file; None for data with a test set of their own.
    """
    return {
        "rows": result.rows,
        "mcnemar": [
            {"first": one, "second": two, **asdict(test)}
            for (one, two), test in _tests(result, students).items()
        ],
        "disagreements": {
            name: {
                "count": len(found),
                "examples": [
                    {
                        "row": _in_file(row, rows),
                        "student": said,
                        "teacher": taught,
                        "kl_to_teacher": kl,
                    }
                    for row, said, taught, kl in zip(
                        found.indices[:_EXAMPLES],
                        found.student[:_EXAMPLES].tolist(),
                        found.teacher[:_EXAMPLES].tolist(),
                        found.kl_to_teacher[:_EXAMPLES].tolist(),
                        strict=True,
                    )
                ],
            }
            for name, found in _differences(result).items()
        },
        "confidence": result.confidence,
    }


def print_evaluation(
    title: str,
    result: Evaluation,
    students: dict[str, BaseEstimator],
    rows: np.ndarray | None,
) -> None:
    """Print a table of all metrics, and sentences on tests and disagreements.

    The parameters are those of `full_results`, and the title of the table.
    """
    intervals = any(row["interval"] == "bootstrap" for row in result.rows)
    said = f", in brackets {result.confidence:.0%} intervals" if intervals else ""
    table = Table(title=f"{title}{said} (of times: quartiles)", title_justify="left")
    table.add_column("", no_wrap=True)
    alone = len(result.students()) == 1
    for name in result.answers:
        heading = "student" if alone and name != "teacher" else name
        table.add_column(heading, justify="right")
    cells: dict[str, list[str]] = {}
    for row in result.rows:
        cells.setdefault(row["metric"], []).append(_cell(row))
    for metric, shown in cells.items():
        arrow = "↑" if METRICS[metric].direction == "higher" else "↓"
        table.add_row(f"{METRICS[metric].title} {arrow}", *shown)
    print_table(table)
    for (one, two), test in _tests(result, students).items():
        click.echo(
            f"McNemar: {one} alone is right on {test.only_first} rows, {two} alone on "
            f"{test.only_second}; p = {test.pvalue:.3g} ({test.method})."
        )
    for name, found in _differences(result).items():
        first = zip(found.indices, found.student, found.teacher, strict=True)
        examples = [
            f"{_in_file(row, rows)} ({readable(said)}, not {readable(taught)})"
            for row, said, taught in islice(first, _EXAMPLES)
        ]
        ending = f", furthest apart: {', '.join(examples)}" if examples else ""
        click.echo(
            f"{name} and the teacher predict different classes on {len(found)} of "
            f"{result.n_samples} rows{ending}."
        )


def _in_file(row: int, rows: np.ndarray | None) -> int:
    """Return the number of a test row in its file, from 0, as ``softkd explain --row`` takes it."""
    return int(row if rows is None else rows[row])


def _cell(row: dict[str, Any]) -> str:
    show = METRICS[row["metric"]].show
    if row["low"] is None:
        return show(row["value"])
    return f"{show(row['value'])} [{show(row['low'])}, {show(row['high'])}]"


def _tests(result: Evaluation, students: dict[str, BaseEstimator]) -> dict[tuple[str, str], Any]:
    return result.mcnemar() if all(map(is_classifier, students.values())) else {}


def _differences(result: Evaluation) -> dict[str, Any]:
    return {
        name: result.disagreements(name)
        for name in result.students()
        if result.answers[name].classes is not None
        and result.answers[name].has(("teacher", "probabilities"))
    }
