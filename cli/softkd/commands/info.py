"""`softkd info`: what a file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from soft_students.persistence import BundleError, load
from soft_students.teachers import EnsembleTeacher, load_teacher
from softkd.options import print_json


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def info(file: str, as_json: bool) -> None:
    """Say what a student or teacher FILE is, without running code from it."""
    try:
        described = _student(file)
    except BundleError as no_student:
        try:
            described = _teacher(file)
        except BundleError as no_teacher:
            # the two readers differ in what they expect; the file's name tells which was meant
            raise (no_student if file.endswith(".student") else no_teacher) from None
    described = {"file": file, "bytes": Path(file).stat().st_size, **described}
    if as_json:
        print_json(described)
        return
    table = Table(show_header=False)
    for name, value in described.items():
        shown = (
            ", ".join(f"{key}={item}" for key, item in value.items())
            if isinstance(value, dict)
            else str(value)
        )
        table.add_row(name, shown)
    Console().print(table)


def _student(file: str) -> dict[str, Any]:
    student = load(file)
    parameters = student.get_params(deep=False)
    classes = getattr(student, "classes_", None)
    return {
        "kind": "student",
        "class": type(student).__name__,
        "classes": None if classes is None else classes.tolist(),
        "features": student.n_features_in_,
        "parameters": {
            name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
            for name, value in parameters.items()
        },
    }


def _teacher(file: str) -> dict[str, Any]:
    teacher = load_teacher(file)
    record = teacher.record
    return {
        "kind": "teacher",
        "name": teacher.name,
        "members": len(teacher.members) if isinstance(teacher, EnsembleTeacher) else 1,
        "classes": None if teacher.classes_ is None else teacher.classes_.tolist(),
        "features": teacher.n_features_in_,
        "input_range": None if teacher.input_range_ is None else list(teacher.input_range_),
        "accuracy": {} if record is None else record.accuracy,
        "data": {} if record is None else record.data,
    }
