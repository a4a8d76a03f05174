"""`softkd explore`: one tree as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from softkd.options import data_options, output_options


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
    """Write the tree of a student FILE as one HTML page.

    The page needs no network. FILE is a soft tree or a single hard tree (tree). The page shows
    every gate and every leaf, and routes test rows of the data that the student was trained on, or
    of --data; for a tree of images you can also draw an input. --json prints "out" and "bytes".
    """
    from soft_students.explain import save_explorer
    from soft_students.explain.explorer.trees import check_tree
    from soft_students.students.files import load
    from softkd.output import check_not_read, check_output, check_page, print_written
    from softkd.reading import Source, read_measured_data, read_test_rows, record_of

    out = out or Path(file).with_suffix(".html")
    check_page(out)
    source = Source(data, data_dir, target)
    check_output(out, force, [file, *source.files()])
    record = record_of(file)
    student = load(file)
    check_tree(student)
    source = source.or_recorded([record])
    check_not_read(out, source.files())  # those that the student's file records, too
    _, dataset = read_measured_data(source, [record], students=[student])
    save_explorer(
        student,
        out,
        X=read_test_rows(student, dataset),
        y=dataset.y_test,
        image_shape=dataset.image_shape,
        title=f"{Path(file).stem}: {dataset.name}",
        overwrite=force,
    )
    print_written(out, as_json)
