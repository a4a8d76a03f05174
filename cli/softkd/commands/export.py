"""`softkd export`: a soft tree for programs without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from softkd.options import data_options, output_options

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
    help="The file [default: FILE's name with the ending .onnx, .c or .npz].",
)
@click.option(
    "--prediction",
    type=click.Choice(["expectation", "greatest_path", "greedy"]),
    help="How the export predicts [default: as the student does].",
)
@click.option(
    "--weights",
    type=click.Choice(["float64", "float32", "float16", "int8"]),
    help="Type of the stored weights in c and numpy [default: as trained]. --data measures the "
    "loss.",
)
@click.option("--prefix", help="Prefix of the identifiers in C [default: tree].")
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
    """Write the soft tree of a student FILE as ONNX, C or numpy.

    With --data, the export is compared with the student on the test set. --json prints "files"
    (each with its bytes), "format", "prediction", "weights" and, with --data, "comparison":
    agreement, max_difference, accuracy and accuracy_of_student.
    """
    if form == "onnx" and weights is not None:
        raise click.UsageError("--weights applies to --format c and numpy.")
    if form == "onnx" and data is not None:
        raise click.UsageError(
            "--data measures the loss by --weights, in --format c and numpy; ONNX keeps weights."
        )
    if form != "c" and prefix is not None:
        raise click.UsageError("--prefix applies to --format c.")
    from soft_students.students.files import load
    from softkd.output import check_not_read, check_output, print_json
    from softkd.reading import Source, read_measured_data, record_of

    source = Source(data, data_dir, target)
    inputs = [file, *source.files()]
    out = check_output(out or Path(file).with_suffix(_SUFFIXES[form]), force, inputs)
    for beside in (out.with_suffix(".h"), out.with_name("numpy_predictor.py")):
        check_not_read(beside, inputs)
    student = load(file)
    dataset = None
    if data is not None:
        _, dataset = read_measured_data(source, [record_of(file)], students=[student])
    files = _write(student, out, form, prediction, weights, prefix, force)
    result: dict[str, Any] = {
        "files": {str(path): path.stat().st_size for path in files},
        "format": form,
        "prediction": prediction or student.prediction,
        "weights": weights or student.gate_weights_.dtype.name,
    }
    if dataset is not None:
        result["comparison"] = _compare(student, dataset, prediction, weights)
    if as_json:
        print_json(result)
        return
    for path, size in result["files"].items():
        click.echo(f"Written: {path} ({size:,} bytes)")
    for name, value in result.get("comparison", {}).items():
        click.echo(f"{name.replace('_', ' ')}: {value:.6g}")


def _write(
    student: Any,
    out: Path,
    form: str,
    prediction: Any,
    weights: Any,
    prefix: str | None,
    force: bool,
) -> list[Path]:
    from soft_students.export import to_c, to_numpy, to_onnx

    if form == "onnx":
        return to_onnx(student, out, prediction=prediction, overwrite=force)
    settings = {"prediction": prediction, "weights": weights, "overwrite": force}
    if form == "numpy":
        return to_numpy(student, out, **settings)
    return to_c(student, out, prefix=prefix or "tree", **settings)


def _compare(student: Any, dataset: Any, prediction: Any, weights: Any) -> dict[str, float]:
    """Return how close the export is to the student on the test set."""
    from soft_students.comparison.distillation import held_out_rows
    from soft_students.export import compare_to_student, to_soft_tree

    exported = to_soft_tree(student, prediction=prediction, weights=weights)
    return compare_to_student(student, exported, held_out_rows(student, dataset), dataset.y_test)
