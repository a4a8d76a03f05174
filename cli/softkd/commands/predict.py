"""`softkd predict`: a student's predictions of the rows of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from softkd.options import output_options


@click.command()
@click.option("--model", required=True, type=click.Path(), help="The student file.")
@click.option(
    "--data",
    required=True,
    type=click.Path(),
    help="Rows: .csv, .parquet, .npz (X) or .npy; - reads CSV from standard input.",
)
@click.option("--proba", is_flag=True, help="Add the probability of each class.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A CSV file [default: standard output]."
)
@click.option("--trust", is_flag=True, help="Allow a pickled student, which can run code.")
@output_options
def predict(
    model: str, data: str, proba: bool, out: Path | None, trust: bool, force: bool, as_json: bool
) -> None:
    """Print the student's prediction of each row as CSV.

    If the student was fitted on named columns, they are found by name and others are ignored.
    --json prints "predictions" and, with --proba, "classes" and "probabilities", one list per row.
    """
    from soft_students.datasets import available_datasets
    from soft_students.persistence import atomic_write
    from soft_students.students.files import load
    from softkd.output import check_output, print_json

    if data in available_datasets():
        raise click.UsageError(
            f"--data of predict is a file of rows; 'softkd evaluate --data {data}' takes the name."
        )
    if out is not None:
        if as_json:
            raise click.UsageError("--out writes CSV; leave out --json, or redirect its output.")
        check_output(out, force, [model, data])
    student = load(model, trust=trust)
    if proba and not hasattr(student, "predict_proba"):
        raise click.UsageError(f"{type(student).__name__} gives no probabilities.")
    rows = _read_rows(data, student)
    result = {"predictions": student.predict(rows).tolist()}
    if proba:
        result["classes"] = student.classes_.tolist()
        result["probabilities"] = student.predict_proba(rows).tolist()
    if as_json:
        print_json(result)
    elif out is None:
        click.echo(_csv(**result), nl=False, color=True)  # click would drop codes of colours
    else:
        with atomic_write(out, overwrite=force) as file:
            file.write(_csv(**result).encode())


def _read_rows(data: str, student: Any) -> Any:
    """Return the rows, with names of columns if the student was fitted on names."""
    import numpy as np

    from soft_students.columns import columns_of
    from soft_students.datasets import check_complete, load_rows
    from softkd.reading import takes_missing

    names = columns_of(student)
    rows: Any = load_rows(sys.stdin.buffer if data == "-" else data, names)
    if isinstance(rows, np.ndarray):
        return rows
    if names is None:
        return rows.to_numpy()
    if not takes_missing(student):
        check_complete(rows.to_numpy(), names, "The table" if data == "-" else f"'{data}'")
    return rows


def _csv(
    predictions: list[Any],
    classes: list[Any] | None = None,
    probabilities: list[list[float]] | None = None,
) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if classes is None or probabilities is None:
        writer.writerow(["prediction"])
        writer.writerows([label] for label in predictions)
    else:
        writer.writerow(["prediction", *(f"probability_{label}" for label in classes)])
        for label, row in zip(predictions, probabilities, strict=True):
            writer.writerow([label, *(f"{probability:.6g}" for probability in row)])
    return text.getvalue()
