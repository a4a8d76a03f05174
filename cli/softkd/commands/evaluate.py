"""`softkd evaluate`: measure a student that was written earlier."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from soft_students.distillation import frames
from soft_students.evaluation import evaluate_student, evaluate_teacher
from soft_students.persistence import load
from softkd.options import (
    COLUMNS,
    data_options,
    print_json,
    read_data,
    read_teacher,
    show,
    teacher_options,
)


@click.command()
@click.option("--model", required=True, type=click.Path(), help="The student file.")
@click.option("--teacher", "teacher_path", type=click.Path(), help="Compare with this teacher.")
@data_options
@teacher_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(
    model: str,
    teacher_path: str | None,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    arch: str | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Measure a student on test data: accuracy, fidelity to a teacher, bytes, latency.

    --json prints accuracy, agreement, kl_to_teacher, bytes and latency_us, and the teacher's own
    under "teacher".
    """
    student = load(model, trust=trust)
    teacher = None if teacher_path is None else read_teacher(teacher_path, arch, trust)
    if data is None and teacher is None:
        raise click.UsageError("Name the data to measure on: --data.")
    dataset = read_data(data, data_dir, target, teacher)
    if teacher is not None and teacher.classes_ is None and dataset.classes is not None:
        teacher.classes_ = dataset.classes
    X_test = frames(dataset)[1] if hasattr(student, "feature_names_in_") else dataset.X_test
    rows: dict[str, dict[str, Any]] = {
        "student": evaluate_student(student, X_test, dataset.y_test, teacher)
    }
    if teacher is not None:
        rows["teacher"] = evaluate_teacher(teacher, dataset.X_test, dataset.y_test)
    if as_json:
        others = {name: row for name, row in rows.items() if name != "student"}
        print_json({**rows["student"], **others, "data": dataset.name})
        return
    table = Table("", *(COLUMNS[name][0] for name in rows["student"]))
    for name, row in rows.items():
        table.add_row(name, *(show(key, value) for key, value in row.items()))
    Console().print(table)
