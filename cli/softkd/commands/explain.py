"""`softkd explain`: how one prediction comes about, or a whole soft tree as a picture."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from soft_students.explain import PICTURE_SUFFIXES, plot_tree, save_picture
from soft_students.explain import explain as explain_row
from soft_students.students.files import load, trained_on
from softkd.options import (
    check_output,
    data_options,
    output_options,
    print_json,
    read_data,
    read_test_rows,
)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@data_options
@click.option(
    "--sample",
    "--row",
    "sample",
    type=click.IntRange(min=0),
    metavar="N",
    help="Row of the test set that is explained, from 0 [default: a whole soft tree is drawn].",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "png"]),
    help="Of a row [default: text, or a picture with --out]. png without --out goes to FILE's name "
    "with that ending.",
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
    help="Of the tree: the gate at the top [default: 0].",
)
@click.option(
    "--max-depth",
    type=click.IntRange(min=1),
    help="Of the tree: levels of gates drawn [default: 4].",
)
@output_options
def explain(
    file: str,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    sample: int | None,
    form: str | None,
    out: Path | None,
    root: int | None,
    max_depth: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Explain the prediction of the student FILE for one row: --sample.

    Soft and hard trees show the row's path, the other students what each feature adds. --sample
    counts in the test rows of the data that the student was trained on, or of --data. The
    explanation is printed as text, drawn to --out, or printed by --json, which always holds
    prediction, classes, importances, feature_names and row.

    Without --sample the whole tree of a soft tree is drawn to --out; --data gives branches a width
    by the share of test rows.
    """
    if as_json and form in ("text", "png"):
        raise click.UsageError(f"--json and --format {form} exclude each other.")
    as_json = as_json or form == "json"
    if form == "png" and out is None:
        out = Path(file).with_suffix(".png")
    if out is not None:
        if out.suffix.lower() not in PICTURE_SUFFIXES:
            raise click.BadParameter(
                f"A picture ends in {', '.join(PICTURE_SUFFIXES)}. Got '{out}'.",
                param_hint="--out",
            )
        if form == "png" and out.suffix.lower() != ".png":
            raise click.UsageError(f"--format png writes a .png. Got --out '{out}'.")
        check_output(out, force)
    if sample is None:
        if out is None or as_json or form == "text":
            raise click.UsageError(
                "A soft tree is drawn to a file: --out. Text and --json explain one row: --sample."
            )
        student = load(file)
        rows = shape = None
        if data is not None:
            dataset = read_data(data, data_dir, target)
            rows, shape = read_test_rows(student, dataset), dataset.image_shape
        figure = plot_tree(
            student,
            X=rows,
            image_shape=shape,
            root=root or 0,
            max_depth=max_depth or 4,
        )
        save_picture(figure, out, overwrite=force)
        click.echo(f"Written: {out}")
        return
    if root is not None or max_depth is not None:
        raise click.UsageError("--root and --max-depth apply to the tree: leave out --sample.")
    student = load(file)
    dataset = read_data(data, data_dir, target, trained_on(file))
    if sample >= len(dataset.X_test):
        raise click.BadParameter(
            f"{dataset.name} has {len(dataset.X_test)} test rows, counted from 0. Got {sample}.",
            param_hint="--sample",
        )
    rows, shape = read_test_rows(student, dataset), dataset.image_shape
    x = rows[sample] if isinstance(rows, np.ndarray) else rows.iloc[sample]
    found = explain_row(student, x, image_shape=shape)
    if out is not None:
        save_picture(found.plot(), out, overwrite=force)
    label = dataset.y_test[sample : sample + 1].tolist()[0]
    if as_json:
        known = {"data": dataset.name, "sample": sample, "label": label}
        print_json({**known, **found.to_dict(), "out": None if out is None else str(out)})
    elif out is None or form == "text":
        click.echo(f"Row {sample} of the test set of {dataset.name}, labelled {label!r}")
        click.echo(found.to_text())
    else:
        click.echo(f"Written: {out}")
