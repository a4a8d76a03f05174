"""`softkd export`: a soft tree for programs without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from soft_students.comparison.distillation import held_out_rows
from soft_students.export import compare_to_student, to_c, to_numpy, to_onnx, to_soft_tree
from soft_students.students.files import load
from softkd.options import check_output, data_options, output_options, print_json, read_data

_SUFFIXES = {"onnx": ".onnx", "c": ".c", "numpy": ".npz"}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_SUFFIXES)),
    required=True,
    help="onnx; c: C99 source and header; numpy: an .npz file and the one module that reads it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="[default: FILE's name with the ending .onnx, .c or .npz]",
)
@click.option(
    "--prediction",
    type=click.Choice(["expectation", "greatest_path", "greedy"]),
    help="How the export predicts [default: as the student does].",
)
@click.option(
    "--weights",
    type=click.Choice(["float64", "float32", "float16", "int8"]),
    help="Type of the stored weights, of c and numpy [default: as trained]. --data measures what "
    "it loses.",
)
@click.option("--prefix", help="Of the identifiers in C [default: tree].")
@data_options
@output_options
def export(
    file: str,
    form: str,
    out: Path | None,
    prediction: Any,
    weights: Any,
    prefix: str | None,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the soft tree of a student FILE as ONNX, C source or for numpy alone.

    With --data, the export is compared with the student on the test set. --json prints "files"
    (each with its bytes), "format", "prediction", "weights" and, with --data, "comparison":
    agreement, max_difference, accuracy and accuracy_of_student.
    """
    if form == "onnx" and weights is not None:
        raise click.UsageError("--weights applies to --format c and numpy.")
    if form == "onnx" and data is not None:
        raise click.UsageError(
            "--data measures what --weights lose, in --format c and numpy; ONNX keeps them."
        )
    if form != "c" and prefix is not None:
        raise click.UsageError("--prefix applies to --format c.")
    out = check_output(out or Path(file).with_suffix(_SUFFIXES[form]), force)
    student = load(file)
    dataset = None if data is None else read_data(data, data_dir, target)
    if form == "onnx":
        files = to_onnx(student, out, prediction=prediction, overwrite=force)
    elif form == "numpy":
        files = to_numpy(student, out, prediction=prediction, weights=weights, overwrite=force)
    else:
        files = to_c(
            student,
            out,
            prediction=prediction,
            weights=weights,
            prefix=prefix or "tree",
            overwrite=force,
        )
    result: dict[str, Any] = {
        "files": {str(path): path.stat().st_size for path in files},
        "format": form,
        "prediction": prediction or student.prediction,
        "weights": weights or student.gate_weights_.dtype.name,
    }
    if dataset is not None:
        X_test = held_out_rows(student, dataset)
        exported = to_soft_tree(student, prediction=prediction, weights=weights)
        result["comparison"] = compare_to_student(student, exported, X_test, dataset.y_test)
    if as_json:
        print_json(result)
        return
    for path, size in result["files"].items():
        click.echo(f"Written: {path} ({size:,} bytes)")
    for name, value in result.get("comparison", {}).items():
        click.echo(f"{name.replace('_', ' ')}: {value:.6g}")
