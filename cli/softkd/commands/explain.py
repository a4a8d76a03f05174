"""`softkd explain`: one prediction explained, or a whole soft tree as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from softkd.options import data_options, output_options


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@data_options
@click.option(
    "--sample",
    "--row",
    "sample",
    type=click.IntRange(min=0),
    metavar="N",
    help="Row of the test set to explain, from 0 [default: a whole soft tree is drawn].",
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
    form: str | None,
    out: Path | None,
    root: int | None,
    max_depth: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Explain one prediction of a student FILE, or draw its tree.

    --sample names the row. Soft and hard trees show the row's path, the other students the
    contribution of each feature. --sample counts the test rows of the data that the student was
    trained on, or of --data. The explanation is printed as text, drawn to --out, or printed by
    --json, which always holds prediction, classes, importances, feature_names and row.

    Without --sample the whole tree of a soft tree is drawn to --out; with --data, the width of a
    branch is its share of the test rows.
    """
    if as_json and form in ("text", "png"):
        raise click.UsageError(f"--json and --format {form} exclude each other.")
    form = "json" if as_json else form
    if form == "png" and out is None:
        out = Path(file).with_suffix(".png")
    if out is not None:
        _check_out(out, form, force)
    source = (data, data_dir, target)
    if sample is None:
        if out is None or form in ("text", "json"):
            raise click.UsageError(
                "A soft tree is drawn to a file: --out. Text and --json explain one row: --sample."
            )
        _draw_tree(file, source, out, root or 0, max_depth or 4, force)
        return
    if root is not None or max_depth is not None:
        raise click.UsageError("--root and --max-depth apply to the tree: leave out --sample.")
    _explain_row(file, source, sample, form, out, force)


def _check_out(out: Path, form: str | None, force: bool) -> None:
    from softkd.output import check_output, check_picture

    check_picture(out, "--out")
    if form == "png" and out.suffix.lower() != ".png":
        raise click.UsageError(f"--format png writes a .png. Got --out '{out}'.")
    check_output(out, force)


def _draw_tree(
    file: str,
    source: tuple[str | None, str | None, str | None],
    out: Path,
    root: int,
    max_depth: int,
    force: bool,
) -> None:
    from soft_students.explain import plot_tree, save_picture
    from soft_students.students.files import load
    from softkd.reading import read_data, read_test_rows

    student = load(file)
    rows = shape = None
    if source[0] is not None:
        dataset = read_data(*source)
        rows, shape = read_test_rows(student, dataset), dataset.image_shape
    figure = plot_tree(student, X=rows, image_shape=shape, root=root, max_depth=max_depth)
    save_picture(figure, out, overwrite=force)
    click.echo(f"Written: {out}")


def _explain_row(
    file: str,
    source: tuple[str | None, str | None, str | None],
    sample: int,
    form: str | None,
    out: Path | None,
    force: bool,
) -> None:
    from soft_students.explain import explain as explain_row
    from soft_students.explain import save_picture
    from soft_students.students.files import load, trained_on
    from softkd.output import print_json
    from softkd.reading import read_data, read_test_rows

    student = load(file)
    dataset = read_data(*source, trained_on(file))
    if sample >= len(dataset.X_test):
        raise click.BadParameter(
            f"{dataset.name} has {len(dataset.X_test)} test rows, counted from 0. Got {sample}.",
            param_hint="--sample",
        )
    rows: Any = read_test_rows(student, dataset)
    x = rows.iloc[sample] if hasattr(rows, "iloc") else rows[sample]
    found = explain_row(student, x, image_shape=dataset.image_shape)
    if out is not None:
        save_picture(found.plot(), out, overwrite=force)
    label = dataset.y_test[sample : sample + 1].tolist()[0]
    if form == "json":
        known = {"data": dataset.name, "sample": sample, "label": label}
        print_json({**known, **found.to_dict(), "out": None if out is None else str(out)})
    elif out is None or form == "text":
        click.echo(f"Row {sample} of the test set of {dataset.name}, labelled {label!r}")
        click.echo(found.to_text())
    else:
        click.echo(f"Written: {out}")
