"""`softkd evaluate`: measure students that were written earlier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from softkd.options import (
    data_options,
    json_option,
    kind_option,
    teacher_options,
    threads_option,
)


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
@click.option(
    "--all-rows",
    is_flag=True,
    help="Measure all rows of --data, also those that a model was trained on.",
)
@teacher_options
@kind_option
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
    all_rows: bool,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    classes: tuple[str, ...] | None,
    kind: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure students on test data: accuracy, fidelity, cost.

    The files of students and teachers record the rows that they were trained on. The other rows of
    a table are measured, in whatever order they are: all rows of a file of new rows. Leave out
    --data to take the data recorded in the file of the teacher or, without one, in that of the
    first student.

    --json prints the student's accuracy, agreement, kl_to_teacher, bytes and latency_us; the same
    measures of the teacher under "teacher"; "data", "test_rows", "model" and "threads". Several
    students are under "models" by name. Unknown measures are null. For regression, the first three
    are r2, r2_to_teacher and mse_to_teacher.

    --full --json prints "rows", one for each model and metric, with "value", "low" and "high" (a
    95 % bootstrap interval, or quartiles of timed calls), "unit" and "direction"; "mcnemar", one
    for each pair of students; "disagreements" by student, each "row" as numbered in the file;
    "models", "data", "test_rows" and "threads".
    """
    if bootstrap is not None and not full:
        raise click.UsageError("--bootstrap sets the intervals of --full. Add --full.")
    names = _names(models)
    from soft_students.comparison.distillation import compare, frames
    from soft_students.evaluation import evaluate as measure
    from soft_students.students.files import load
    from softkd.full_evaluation import full_results, print_evaluation
    from softkd.learners import use_threads
    from softkd.output import print_json
    from softkd.reading import Source, TeacherOptions, read_measured_data, record_of

    about: dict[str, Any] = {"threads": use_threads(threads)}
    students = dict(zip(names, [load(path, trust=trust) for path in models], strict=True))
    teacher, dataset = read_measured_data(
        Source(data, data_dir, target),
        [record_of(path, trust) for path in models],
        students=list(students.values()),
        paths=teacher_paths,
        options=TeacherOptions(arch, input_shape, trust, classes, kind),
        all_rows=all_rows,
    )
    about |= {"data": dataset.name, "test_rows": len(dataset.X_test)}
    title = f"{dataset.name}: {len(dataset.X_test)} test rows"
    if not full:
        rows = compare(students, teacher, dataset)
        if as_json:
            print_json({**_plain(rows, models, teacher), **about})
        else:
            _print(title, rows, names, teacher)
        return
    resamples = 1000 if bootstrap is None else bootstrap
    result = measure(students, frames(dataset)[1], dataset.y_test, teacher, bootstrap=resamples)
    if as_json:
        paths = dict(zip(names, models, strict=True))
        print_json({**full_results(result, students, dataset.test_rows), "models": paths, **about})
    else:
        print_evaluation(title, result, students, dataset.test_rows)


def _names(paths: Sequence[str]) -> list[str]:
    """Return names of students: the stems of their files, or whole paths where stems are equal."""
    if len(set(paths)) < len(paths):
        raise click.UsageError("A --model is given twice.")
    stems = [Path(path).stem for path in paths]
    return stems if len({*stems, "teacher"}) > len(stems) else [str(path) for path in paths]


def _plain(rows: dict[str, Any], models: Sequence[str], teacher: Any) -> dict[str, Any]:
    """Return measures as JSON values: those of one student at the top, several by name."""
    students = dict(rows)
    of_teacher = {} if teacher is None else {"teacher": students.pop("teacher")}
    if len(models) > 1:
        return {"models": students, **of_teacher}
    (measured,) = students.values()
    return {**measured, **of_teacher, "model": models[0]}


def _print(title: str, rows: dict[str, Any], names: Sequence[str], teacher: Any) -> None:
    from softkd.output import print_table, result_table

    titles = {} if teacher is None else {"teacher": f"teacher: {teacher.name}"}
    if len(names) == 1:
        titles[names[0]] = "student"
    print_table(
        result_table(title, {titles.get(name, name): measured for name, measured in rows.items()})
    )
