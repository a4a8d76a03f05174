"""`softkd evaluate`: measure a student that was written earlier."""

from __future__ import annotations

import click

from soft_students.distillation import compare
from soft_students.persistence import load, trained_on
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


@click.command()
@click.option("--model", required=True, type=click.Path(), help="The student file.")
@click.option(
    "--teacher",
    "teacher_paths",
    multiple=True,
    type=click.Path(),
    help="Compare with this teacher; several are an ensemble.",
)
@data_options
@teacher_options
@threads_option
@json_option
def evaluate(
    model: str,
    teacher_paths: tuple[str, ...],
    data: str | None,
    data_dir: str | None,
    target: str | None,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Measure a student on test data: accuracy, fidelity to a teacher, bytes, latency.

    Of a table, the test data are the quarter of the rows that softkd never trains on; --data may be
    left out if the file of the teacher, or without one the student's, says what it was trained on.

    --json prints the student's accuracy, agreement, kl_to_teacher, bytes and latency_us; the same
    of the teacher under "teacher"; "data", "test_rows", "model" and "threads". What is unknown is
    null. Of values, the first three are r2, r2_to_teacher and mse_to_teacher.
    """
    student = load(model, trust=trust)
    if not teacher_paths:
        known = None if data is not None or trust else trained_on(model)
        teacher, dataset = None, read_data(data, data_dir, target, known)
    else:
        teacher, dataset = read_teacher_and_data(
            teacher_paths, arch, input_shape, trust, data, data_dir, target
        )
    rows = compare({"student": student}, teacher, dataset)
    measured = rows.pop("student")
    if as_json:
        about = {
            "data": dataset.name,
            "test_rows": len(dataset.X_test),
            "model": model,
            "threads": threads,
        }
        print_json({**measured, **rows, **about})
        return
    titles = {} if teacher is None else {f"teacher: {teacher.name}": rows["teacher"]}
    print_table(
        result_table(
            f"{dataset.name}: {len(dataset.X_test)} test rows", {**titles, "student": measured}
        )
    )
