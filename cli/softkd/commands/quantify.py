"""`softkd quantify`: how much a neural student has learnt of its images, and how."""

from __future__ import annotations

import glob
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from soft_students.explain import PICTURE_SUFFIXES, save_picture
from soft_students.students.files import load, trained_on
from softkd.options import (
    check_output,
    data_options,
    output_options,
    print_json,
    print_table,
    read_data,
    threads_option,
)


@click.command()
@click.option(
    "--students",
    required=True,
    metavar="PATTERN",
    help="Snapshots of one training, in the order of their names: 'folder/*.student'.",
)
@click.option(
    "--compare", metavar="PATTERN", help="Those of another training, measured on the same images."
)
@data_options
@click.option("--layer", help="Where to look [default: the last feature maps].")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Test images to measure, the first ones.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=150, show_default=True, help="Of Adam."
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
    threads: int,
    force: bool,
    as_json: bool,
) -> None:
    """Count the visual concepts that a neural student has at each snapshot of its training.

    Snapshots are left by 'softkd distill --student neural --set snapshots=FOLDER'. Visual concepts
    are pixels that a layer forgets less than the background (Cheng et al. 2020). Foreground is what
    differs from the background, which must be uniform, as in mnist and digits.

    --json prints "students" and, with --compare, "compare": "table", one row a snapshot, "metrics",
    "layer" and "discarded"; "data" and "images".
    """
    if pictures is not None:
        if pictures.suffix.lower() not in PICTURE_SUFFIXES:
            raise click.BadParameter(
                f"A picture ends in {', '.join(PICTURE_SUFFIXES)}. Got '{pictures}'.",
                param_hint="--pictures",
            )
        check_output(pictures, force)
    from soft_students.knowledge import plot_entropies, quantify_knowledge

    files = {"students": _files(students, "--students")}
    if compare is not None:
        files["compare"] = _files(compare, "--compare")
    dataset = read_data(data, data_dir, target, trained_on(files["students"][0]))
    X = np.asarray(dataset.X_test[:images])
    found = {
        name: quantify_knowledge(
            [load(path) for path in paths],
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
        described: dict[str, Any] = {
            name: {
                "table": knowledge.table,
                "metrics": asdict(knowledge.metrics),
                "layer": knowledge.layer,
                "discarded": knowledge.discarded,
            }
            for name, knowledge in found.items()
        }
        print_json({**described, "data": dataset.name, "images": len(X)})
        return
    for name, knowledge in found.items():
        table = Table("snapshot", "N_fg", "N_bg", "lambda", "weight distance", title=files[name][0])
        table.title_justify = "left"
        for row in knowledge.table:
            figures = (row["n_foreground"], row["n_background"], row["lambda"])
            shown = [f"{value:.3g}" for value in (*figures, row["weight_distance"])]
            table.add_row(str(row["checkpoint"]), *shown)
        print_table(table)
        click.echo(knowledge.summary())
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
