"""`softkd evaluate`: measure students that were written earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from sklearn.base import BaseEstimator, is_classifier

from soft_students.comparison.distillation import compare, frames
from soft_students.evaluation import METRICS, Evaluation
from soft_students.evaluation import evaluate as run
from soft_students.students.files import load, trained_on
from softkd.options import (
    data_options,
    json_option,
    print_json,
    print_table,
    read_data,
    read_teacher_and_data,
    result_table,
    teacher_options,
    threads_option,
)

_EXAMPLES = 5  # of rows on which a student and the teacher differ


@click.command()
@click.option(
    "--model",
    "models",
    required=True,
    multiple=True,
    type=click.Path(),
    help="The student file; several are shown side by side.",
)
@click.option(
    "--teacher",
    "teacher_paths",
    multiple=True,
    type=click.Path(),
    help="Compare with this teacher; several are an ensemble.",
)
@click.option(
    "--full",
    is_flag=True,
    help="All metrics with confidence intervals, McNemar's test of each pair of students, and the "
    "rows on which student and teacher differ most.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    help="Resamples for the intervals of --full [default: 1000].",
)
@data_options
@teacher_options
@threads_option
@json_option
def evaluate(
    models: tuple[str, ...],
    teacher_paths: tuple[str, ...],
    full: bool,
    bootstrap: int | None,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Measure students on test data: accuracy, fidelity to a teacher, bytes, latency.

    Of a table, the test data are the quarter of the rows that softkd never trains on; --data may be
    left out if the file of the teacher, or without one the first student's, says what it was
    trained on.

    --json prints the student's accuracy, agreement, kl_to_teacher, bytes and latency_us; the same
    of the teacher under "teacher"; "data", "test_rows", "model" and "threads". Of several students,
    these are under "models" by name. What is unknown is null. Of values, the first three are r2,
    r2_to_teacher and mse_to_teacher.

    --full --json prints "rows", one for each model and metric, with "value", "low" and "high" (of a
    95 % bootstrap interval, or quartiles of timed calls), "unit" and "direction"; "mcnemar", one
    for each pair of students; "disagreements" by student; "models", "data", "test_rows" and
    "threads".
    """
    if bootstrap is not None and not full:
        raise click.UsageError("--bootstrap is of the intervals that --full shows. Add --full.")
    students = dict(zip(_names(models), [load(path, trust=trust) for path in models], strict=True))
    if not teacher_paths:
        known = None if data is not None or trust else trained_on(models[0])
        teacher, dataset = None, read_data(data, data_dir, target, known)
    else:
        teacher, dataset = read_teacher_and_data(
            teacher_paths, arch, input_shape, trust, data, data_dir, target
        )
    about = {"data": dataset.name, "test_rows": len(dataset.X_test)}
    title = f"{dataset.name}: {len(dataset.X_test)} test rows"
    if full:
        result = run(
            students,
            frames(dataset)[1],
            dataset.y_test,
            teacher,
            bootstrap=1000 if bootstrap is None else bootstrap,
        )
        if as_json:
            paths = dict(zip(students, models, strict=True))
            print_json({**_as_json(result, students), "models": paths, **about, "threads": threads})
        else:
            _print(title, result, students)
        return
    rows = compare(students, teacher, dataset)
    if as_json:
        of_teacher = {"teacher": rows.pop("teacher")} if teacher is not None else {}
        if len(models) == 1:
            (measured,) = rows.values()
            print_json({**measured, **of_teacher, **about, "model": models[0], "threads": threads})
        else:
            print_json({"models": rows, **of_teacher, **about, "threads": threads})
        return
    titles = {} if teacher is None else {"teacher": f"teacher: {teacher.name}"}
    if len(models) == 1:
        titles |= dict.fromkeys(students, "student")
    print_table(
        result_table(title, {titles.get(name, name): measured for name, measured in rows.items()})
    )


def _names(paths: Sequence[str]) -> list[str]:
    """Return what students are called: their files, as short as tells them apart."""
    if len(set(paths)) < len(paths):
        raise click.UsageError("A --model is given twice.")
    stems = [Path(path).stem for path in paths]
    return stems if len({*stems, "teacher"}) > len(stems) else [str(path) for path in paths]


def _as_json(result: Evaluation, students: dict[str, BaseEstimator]) -> dict[str, Any]:
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
                    {"row": int(row), "student": said, "teacher": taught, "kl_to_teacher": kl}
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


def _print(title: str, result: Evaluation, students: dict[str, BaseEstimator]) -> None:
    intervals = any(row["interval"] == "bootstrap" for row in result.rows)
    said = f", in brackets {result.confidence:.0%} intervals" if intervals else ""
    table = Table(title=f"{title}{said} (of times: quartiles)", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in result.answers:
        table.add_column(name, justify="right", overflow="fold")
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
        examples = [f"{row} ({said}, not {taught})" for row, said, taught in first][:_EXAMPLES]
        ending = f", furthest apart: {', '.join(examples)}" if examples else ""
        click.echo(
            f"{name} and the teacher choose differently on {len(found)} of {result.n_samples} "
            f"rows{ending}."
        )


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
