"""`softkd explore`: one tree as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from soft_students.explain import save_explorer
from soft_students.explain.explorer.trees import check_tree
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
    "--out",
    type=click.Path(path_type=Path),
    help="The page: .html [default: FILE's name with that ending].",
)
@output_options
def explore(
    file: str,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the tree of a student FILE as one HTML page that needs no network.

    FILE holds a soft tree or a single hard tree (tree). The page shows what every gate asks and
    every leaf says, and routes test rows of the data that the student was trained on, or of --data;
    a tree of images also takes a drawing. --json prints "out" and "bytes".
    """
    out = out or Path(file).with_suffix(".html")
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.BadParameter(f"A page ends in .html. Got '{out}'.", param_hint="--out")
    check_output(out, force, [file])
    student = load(file)
    check_tree(student)
    dataset = read_data(data, data_dir, target, trained_on(file))
    save_explorer(
        student,
        out,
        X=read_test_rows(student, dataset),
        y=dataset.y_test,
        image_shape=dataset.image_shape,
        title=f"{Path(file).stem}: {dataset.name}",
        overwrite=force,
    )
    size = out.stat().st_size
    if as_json:
        print_json({"out": str(out), "bytes": size})
    else:
        click.echo(f"Written: {out} ({size:,} bytes)")
