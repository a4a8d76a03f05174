"""`softkd quantify`: how much a neural student has learnt of its images, and how."""

from __future__ import annotations

import glob
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import click

from softkd.options import data_options, output_options, threads_option


@click.command()
@click.option(
    "--students",
    required=True,
    metavar="PATTERN",
    type=click.Path(),
    help="Snapshots of one training, in the order of their names: 'folder/*.student'.",
)
@click.option(
    "--compare",
    metavar="PATTERN",
    type=click.Path(),
    help="Snapshots of another training, measured on the same images.",
)
@data_options
@click.option("--layer", help="Layer to measure [default: the last feature maps].")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Test images to measure, the first ones.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=150,
    show_default=True,
    help="Steps of Adam per image.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the noise.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="A picture of the pixels' entropies: .png, .svg or .pdf.",
)
@threads_option
@output_options
def quantify(
    students: str,
    compare: str | None,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    layer: str | None,
    images: int,
    steps: int,
    seed: int,
    pictures: Path | None,
    threads: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Count the visual concepts that a neural student has learnt.

    They are counted at each snapshot of a training. Snapshots are written by 'softkd distill
    --student neural --set snapshots=FOLDER'. Visual concepts are pixels whose information a layer
    keeps, compared with the background (Cheng et al. 2020). The foreground is every pixel that
    differs from the background, which must be uniform, as in mnist and digits.

    --json prints "students" and, with --compare, "compare": "table", one row per snapshot,
    "metrics", "layer" and "discarded"; "data" and "images".
    """
    files = {"students": _files(students, "--students")}
    if compare is not None:
        files["compare"] = _files(compare, "--compare")
    from soft_students.explain import save_picture
    from soft_students.knowledge import plot_entropies, quantify_knowledge
    from soft_students.students.files import load
    from softkd.learners import use_threads
    from softkd.output import check_output, check_picture
    from softkd.reading import Source, read_measured_data, record_of

    source, snapshots = Source(data, data_dir, target), [*chain(*files.values())]
    if pictures is not None:
        check_picture(pictures, "--pictures")
        check_output(pictures, force, [*snapshots, *source.files()])
    use_threads(threads)
    students_of = {name: [load(path) for path in paths] for name, paths in files.items()}
    _, dataset = read_measured_data(
        source, [record_of(path) for path in snapshots], students=[*chain(*students_of.values())]
    )
    X = dataset.X_test[:images]
    found = {
        name: quantify_knowledge(
            students_of[name],
            X,
            layer=layer,
            names=[Path(path).stem for path in paths],
            n_steps=steps,
            random_state=seed,
        )
        for name, paths in files.items()
    }
    if pictures is not None:
        save_picture(plot_entropies(found["students"], X), pictures, overwrite=force)
    if as_json:
        _print_json(found, {"data": dataset.name, "images": len(X)})
        return
    _print_tables(found, files)
    if pictures is not None:
        click.echo(f"Written: {pictures}", err=True)


def _files(pattern: str, option: str) -> list[str]:
    paths = sorted(glob.glob(pattern))
    if len(paths) < 2:
        raise click.BadParameter(
            f"It takes the untrained student and at least one snapshot more. {pattern!r} matches "
            f"{len(paths)} files.",
            param_hint=option,
        )
    return paths


def _print_json(found: dict[str, Any], about: dict[str, Any]) -> None:
    from softkd.output import print_json

    described = {
        name: {
            "table": knowledge.table,
            "metrics": asdict(knowledge.metrics),
            "layer": knowledge.layer,
            "discarded": knowledge.discarded,
        }
        for name, knowledge in found.items()
    }
    print_json({**described, **about})


def _print_tables(found: dict[str, Any], files: dict[str, list[str]]) -> None:
    from rich.table import Table

    from softkd.output import print_table

    for name, knowledge in found.items():
        table = Table("snapshot", "N_fg", "N_bg", "lambda", "weight distance", title=files[name][0])
        table.title_justify = "left"
        for row in knowledge.table:
            figures = (row["n_foreground"], row["n_background"], row["lambda"])
            shown = [f"{value:.3g}" for value in (*figures, row["weight_distance"])]
            table.add_row(str(row["checkpoint"]), *shown)
        print_table(table)
        click.echo(knowledge.summary())
