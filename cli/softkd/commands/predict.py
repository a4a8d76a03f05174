"""`softkd predict`: ask a student about rows of a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click
import numpy as np

from soft_students.datasets import load_rows
from soft_students.persistence import atomic_write, load
from softkd.options import check_output


@click.command()
@click.option("--model", required=True, type=click.Path(), help="The student file.")
@click.option(
    "--data", required=True, type=click.Path(), help="Rows: .csv, .parquet, .npz (X) or .npy."
)
@click.option("--proba", is_flag=True, help="Add the probability of each class.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A CSV file [default: standard output]."
)
@click.option("--force", is_flag=True, help="Replace an existing output file.")
@click.option("--trust", is_flag=True, help="Allow a pickled student.")
def predict(model: str, data: str, proba: bool, out: Path | None, force: bool, trust: bool) -> None:
    """Print the student's prediction of each row as CSV."""
    if out is not None:
        check_output(out, force)
    student = load(model, trust=trust)
    rows = _columns_of(student, load_rows(data))
    header, columns = ["prediction"], [student.predict(rows)]
    if proba:
        if not hasattr(student, "predict_proba"):
            raise click.ClickException(f"{type(student).__name__} gives no probabilities.")
        header += [f"probability_{label}" for label in student.classes_]
        columns += list(student.predict_proba(rows).T)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
    if out is None:
        click.echo(text.getvalue(), nl=False)
    else:
        with atomic_write(out, overwrite=force) as file:
            file.write(text.getvalue().encode())


def _columns_of(student: Any, rows: Any) -> Any:
    """Return the columns that the student knows, in its order."""
    names = getattr(student, "feature_names_in_", None)
    if isinstance(rows, np.ndarray):
        return rows
    if names is None:
        return rows.to_numpy()
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise click.ClickException(
            f"The rows lack {len(missing)} of the student's columns: {', '.join(missing[:10])}."
        )
    return rows[list(names)]
