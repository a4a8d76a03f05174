"""`softkd predict`: ask a student about rows of a file."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from soft_students.datasets import available_datasets, check_complete, load_rows
from soft_students.persistence import atomic_write
from soft_students.students.files import load
from softkd.options import check_output, output_options, print_json


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

    Columns are found by name where the student knows names; others are ignored. --json prints
    "predictions" and, with --proba, "classes" and "probabilities", one list a row.
    """
    if data in available_datasets():
        raise click.UsageError(
            f"--data of predict is a file of rows; 'softkd evaluate --data {data}' takes the name."
        )
    if out is not None:
        if as_json:
            raise click.UsageError("--out writes CSV; leave out --json, or redirect its output.")
        check_output(out, force, inputs=[model, data])
    student = load(model, trust=trust)
    if proba and not hasattr(student, "predict_proba"):
        raise click.UsageError(f"{type(student).__name__} gives no probabilities.")
    names = getattr(student, "feature_names_in_", None)
    rows: Any = load_rows(sys.stdin.buffer if data == "-" else data, names)
    if not isinstance(rows, np.ndarray):
        values = rows.to_numpy()
        if names is None:
            rows = values
        else:
            check_complete(values, list(names), "The table" if data == "-" else f"'{data}'")
    predictions = student.predict(rows).tolist()
    probabilities = student.predict_proba(rows) if proba else None
    if as_json:
        result = {"predictions": predictions}
        if probabilities is not None:
            result |= {
                "classes": student.classes_.tolist(),
                "probabilities": probabilities.tolist(),
            }
        print_json(result)
        return
    text = _csv(predictions, student.classes_ if proba else None, probabilities)
    if out is None:
        click.echo(text, nl=False)
    else:
        with atomic_write(out, overwrite=force) as file:
            file.write(text.encode())


def _csv(predictions: list, classes: np.ndarray | None, probabilities: np.ndarray | None) -> str:
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
