"""`softkd info`: what a file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from softkd.options import json_option


@click.command()
@click.argument("file", type=click.Path())
@json_option
def info(file: str, as_json: bool) -> None:
    """Describe a student or teacher FILE.

    No code in it is run. --json prints "file", "bytes", "kind", "classes" and "features"; for a
    student also "class", "feature_names" and "parameters"; for a teacher "name", "members",
    "input_range", "accuracy" and "data".
    """
    from rich.table import Table

    from soft_students.persistence import BundleError
    from softkd.output import print_json, print_table

    try:
        described = _student(file)
    except BundleError as no_student:
        try:
            described = _teacher(file)
        except BundleError as no_teacher:
            # the two readers expect different things; the file's name shows which was meant
            raise (no_student if file.endswith(".student") else no_teacher) from None
    described = {"file": file, "bytes": Path(file).stat().st_size, **described}
    if "trained_rows" in described["data"]:  # a digest of each row is nothing to read
        described["data"]["trained_rows"] = described["data"]["trained_rows"]["count"]
    if as_json:
        print_json(described)
        return
    table = Table(show_header=False)
    for name, value in described.items():
        table.add_row(name, _shown(value))
    print_table(table)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_shown(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value).replace("\n", "\\n")  # a name forges no line


def _student(file: str) -> dict[str, Any]:
    from soft_students.columns import columns_of
    from soft_students.students.files import load, trained_on
    from softkd.output import plain_parameters

    student = load(file)
    classes = getattr(student, "classes_", None)
    return {
        "kind": "student",
        "class": type(student).__name__,
        "classes": None if classes is None else classes.tolist(),
        "features": student.n_features_in_,
        "feature_names": columns_of(student),
        "parameters": plain_parameters(student),
        "data": trained_on(file),
    }


def _teacher(file: str) -> dict[str, Any]:
    from soft_students.teachers import EnsembleTeacher, load_teacher

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
