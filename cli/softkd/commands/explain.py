"""`softkd explain`: one prediction explained, or a whole soft tree as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from softkd.options import data_options, output_options


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@data_options
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    metavar="N",
    help="Test row to explain, from 0 [default: a whole soft tree is drawn].",
)
@click.option(
    "--row",
    type=click.IntRange(min=0),
    metavar="N",
    help="Row of the file of --data to explain, from 0; the file needs no target. Of data with a "
    "test set of their own, such as digits: as --sample.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "png"]),
    help="Form of the explanation of a row [default: text, or a picture with --out]. png without "
    "--out writes to FILE's name with that ending.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The picture: .png, .svg or .pdf.",
)
@click.option(
    "--root",
    type=click.IntRange(min=0),
    metavar="NODE",
    help="Gate at the top of the drawn tree [default: 0].",
)
@click.option(
    "--max-depth",
    type=click.IntRange(min=1),
    help="Levels of gates in the drawn tree [default: 4].",
)
@output_options
def explain(
    file: str,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    sample: int | None,
    row: int | None,
    form: str | None,
    out: Path | None,
    root: int | None,
    max_depth: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Explain one prediction of a student FILE, or draw its tree.

    --sample N names a test row of the data that the student was trained on, or of --data, and --row
    N a row of the file as it is. Soft and hard trees show the row's path, the other students the
    contribution of each feature. The explanation is printed as text, drawn to --out, or printed by
    --json, which always holds prediction, classes, importances, feature_names and row; "sample" and
    "file_row" are the numbers of the row, "label" its label, or null.

    Without --sample and --row the whole tree of a soft tree is drawn to --out; with --data, the
    width of a branch is its share of the test rows.
    """
    if as_json and form in ("text", "png"):
        raise click.UsageError(f"--json and --format {form} exclude each other.")
    if sample is not None and row is not None:
        raise click.UsageError("--sample and --row exclude each other.")
    from soft_students.datasets import available_datasets
    from softkd.output import check_not_read
    from softkd.reading import Source, record_of

    form = "json" if as_json else form
    if form == "png" and out is None:
        out = Path(file).with_suffix(".png")
    source = Source(data, data_dir, target)
    if out is not None:
        _check_out(out, form, force, [file, *source.files()])
    if sample is None and row is None:
        if out is None or form in ("text", "json"):
            raise click.UsageError(
                "A soft tree is drawn to a file: --out. Text and --json explain one row: --sample "
                "or --row."
            )
        _draw_tree(file, source, out, root or 0, max_depth or 4, force)
        return
    if root is not None or max_depth is not None:
        raise click.UsageError(
            "--root and --max-depth apply to the tree: leave out --sample and --row."
        )
    record = record_of(file)
    source = source.or_recorded([record])
    if out is not None:
        check_not_read(out, source.files())  # those that the student's file records, too
    if source.data in available_datasets():
        sample, row = row if sample is None else sample, None
    _explain_row(file, source, record, sample, row, form, out, force)


def _check_out(out: Path, form: str | None, force: bool, inputs: list[str]) -> None:
    from softkd.output import check_output, check_picture

    check_picture(out, "--out")
    if form == "png" and out.suffix.lower() != ".png":
        raise click.UsageError(f"--format png writes a .png. Got --out '{out}'.")
    check_output(out, force, inputs)


def _draw_tree(file: str, source: Any, out: Path, root: int, max_depth: int, force: bool) -> None:
    from soft_students.explain import plot_tree, save_picture
    from soft_students.students.files import load
    from softkd.reading import read_measured_data, read_test_rows, record_of

    student = load(file)
    rows = shape = None
    if source.data is not None:
        _, dataset = read_measured_data(source, [record_of(file)], students=[student])
        rows, shape = read_test_rows(student, dataset), dataset.image_shape
    figure = plot_tree(student, X=rows, image_shape=shape, root=root, max_depth=max_depth)
    save_picture(figure, out, overwrite=force)
    click.echo(f"Written: {out}")


def _explain_row(
    file: str,
    source: Any,
    record: dict[str, Any],
    sample: int | None,
    row: int | None,
    form: str | None,
    out: Path | None,
    force: bool,
) -> None:
    from soft_students.explain import explain as explain_row
    from soft_students.explain import save_picture
    from soft_students.students.files import load
    from softkd.output import print_json

    student = load(file)
    chosen = (
        _test_row(student, source, record, sample)
        if sample is not None
        else _file_row(student, source, row or 0)
    )
    found = explain_row(student, chosen.x, image_shape=chosen.image_shape)
    if out is not None:
        save_picture(found.plot(), out, overwrite=force)
    if form == "json":
        known = {"data": chosen.data, "sample": sample, "file_row": chosen.row}
        known["label"] = chosen.label
        print_json({**known, **found.to_dict(), "out": None if out is None else str(out)})
    elif out is None or form == "text":
        click.echo(chosen.title)
        click.echo(found.to_text())
    else:
        click.echo(f"Written: {out}")


@dataclass(frozen=True)
class _Row:
    """A row to explain: its features, number in the file, label and a title."""

    x: Any
    data: str
    row: int | None
    label: Any
    title: str
    image_shape: tuple[int, ...] | None = None


def _test_row(student: Any, source: Any, record: dict[str, Any], sample: int) -> _Row:
    from softkd.reading import read_measured_data, read_test_rows

    _, dataset = read_measured_data(source, [record], students=[student])
    if sample >= len(dataset.X_test):
        raise click.BadParameter(
            f"{dataset.name} has {len(dataset.X_test)} test rows, counted from 0. Got {sample}.",
            param_hint="--sample",
        )
    rows = read_test_rows(student, dataset)
    label = dataset.y_test[sample : sample + 1].tolist()[0]
    title, row = f"Row {sample} of the test set of {dataset.name}", None
    if dataset.test_rows is not None:
        row = int(dataset.test_rows[sample])
        title += f", row {row} of the file"
    x = rows.iloc[sample] if hasattr(rows, "iloc") else rows[sample]
    return _Row(x, dataset.name, row, label, f"{title}, labelled {label!r}", dataset.image_shape)


def _file_row(student: Any, source: Any, row: int) -> _Row:
    """Return a row of a file as it is, with its label if the file has the target."""
    from softkd.reading import read_file_rows

    rows, labels = read_file_rows(student, source)
    if row >= len(rows):
        raise click.BadParameter(
            f"'{source.data}' has {len(rows)} rows, counted from 0. Got {row}.", param_hint="--row"
        )
    name = Path(source.data).name
    label = None if labels is None else labels[row]
    said = "" if label is None else f", labelled {label!r}"
    x = rows.iloc[row] if hasattr(rows, "iloc") else rows[row]
    return _Row(x, name, row, label, f"Row {row} of {name}{said}")
