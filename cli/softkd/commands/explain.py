"""`softkd explain`: a soft tree, or one row's path through it, as a picture or text."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from soft_students.explain import (
    PICTURE_SUFFIXES,
    explain_path,
    plot_path,
    plot_tree,
    save_picture,
)
from soft_students.persistence import load, trained_on
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
    type=click.IntRange(min=0),
    metavar="N",
    help="Row of the test set whose path is shown, from 0 [default: the whole tree is drawn].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The picture: .png, .svg or .pdf [default: the path as text].",
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
    out: Path | None,
    root: int | None,
    max_depth: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show the soft tree of a student FILE, or with --sample the path of one row through it.

    A tree is drawn to --out; --data gives branches a width by the share of test rows. --sample
    counts in the test rows of the data that the student was trained on, or of --data. A path is
    printed as text, drawn to --out, or printed by --json: prediction, leaf, leaf_output,
    mean_output, classes, feature_names, row, and steps, which hold node, activation, branch,
    probability, path_probability, bias, weights and contributions.
    """
    if out is not None:
        if out.suffix.lower() not in PICTURE_SUFFIXES:
            raise click.BadParameter(
                f"A picture ends in {', '.join(PICTURE_SUFFIXES)}. Got '{out}'.",
                param_hint="--out",
            )
        check_output(out, force)
    if sample is None:
        if out is None or as_json:
            raise click.UsageError(
                "The tree is drawn to a file: --out. Text and --json show the path of one row: "
                "--sample."
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
    if out is not None:
        save_picture(plot_path(student, x, image_shape=shape), out, overwrite=force)
    path = explain_path(student, x, image_shape=shape)
    label = dataset.y_test[sample : sample + 1].tolist()[0]
    if as_json:
        known = {"data": dataset.name, "sample": sample, "label": label}
        print_json({**known, **path.to_dict(), "out": None if out is None else str(out)})
    elif out is None:
        click.echo(f"Row {sample} of the test set of {dataset.name}, labelled {label!r}")
        click.echo(str(path))
    else:
        click.echo(f"Written: {out}")
