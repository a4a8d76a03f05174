"""`softkd reproduce`: a published result, run again from the raw data."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click

from softkd.options import json_option


@click.command()
@click.argument("study", type=click.Choice(["mnist"]))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder [default: softkd-mnist, with --quick softkd-mnist-quick].",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Trees per row [default: 3].")
@click.option("--quick", is_flag=True, help="Few images, small trees, one seed: two minutes.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Trees trained at the same time [default: one per core].",
)
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Folder of IDX files [default: $SOFTKD_DATA, the cache, then the network].",
)
@json_option
def reproduce(
    study: str,
    out: Path | None,
    seeds: int | None,
    quick: bool,
    jobs: int | None,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Reproduce the study of soft trees on MNIST.

    A teacher and soft trees are trained; results, table and pictures go to a folder. The table
    compares trees trained on labels, on the teacher, and on distorted images that the teacher
    labels. After an interruption the same command continues: results that are in the folder are
    kept. --json prints the content of results.json: "teacher", "rows", "seeds", "train_rows",
    "test_rows" and "versions".
    """
    if importlib.util.find_spec("matplotlib") is None:  # not after an hour of training
        raise click.ClickException(
            "The pictures need matplotlib. Install it with: pip install 'soft-students[plots]'"
        )
    from joblib import cpu_count
    from rich.progress import MofNCompleteColumn

    from soft_students.progress import progress_bar
    from soft_students.studies import draw_study, quick_plan, run_study, soft_tree_plan
    from soft_students.versions import versions
    from softkd.output import print_json

    folder = out or Path("softkd-mnist-quick" if quick else "softkd-mnist")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"Cannot write into '{folder}': {error.strerror}.") from error
    plan = quick_plan() if quick else soft_tree_plan()
    jobs = jobs or cpu_count()
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("trees", total=None)

        def on_part(done: int, total: int, text: str) -> None:
            bar.update(task, total=total, completed=done)
            if bar.console.is_terminal:
                bar.console.print(f"{done}/{total} {text}", highlight=False)

        result = run_study(
            folder,
            plan,
            seeds=seeds or (1 if quick else 3),
            n_jobs=jobs,
            data_dir=data_dir,
            about={"versions": versions(), "jobs": jobs},
            on_part=on_part,
        )
    pictures = draw_study(folder, plan, data_dir=data_dir)
    if as_json:
        print_json(result)
        return
    teacher: dict[str, Any] = result["teacher"]
    click.echo(f"Teacher: {teacher['accuracy']:.2%} in {teacher['seconds']:.0f} s")
    click.echo((folder / "results.md").read_text(), nl=False)
    click.echo(f"Written: {folder}/results.json, results.md, teacher.pt, {len(pictures)} pictures")
