"""`softkd label`: have a teacher label more rows than memory holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from joblib import cpu_count
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from soft_students.dask.cluster import dask_client
from soft_students.labelled import TeacherFile, label_parts
from soft_students.labelled.label import KINDS, Labelling
from soft_students.labelled.plan import find_sources
from softkd.options import json_option, print_json, teacher_options, versions

#: Failures that are shown one by one.
_SHOWN = 20


@click.command()
@click.option("--teacher", required=True, type=click.Path(), help="The teacher file.")
@click.option(
    "--data",
    required=True,
    metavar="PATTERN",
    help="Files .parquet or .npy, or folders of Zarr arrays: 'big/*.parquet', in quotes.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the targets. What an earlier run has finished there is kept.",
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="What is written of a classifier [default: logits].",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, min_open=True),
    help="Of --kind probabilities [default: 1].",
)
@click.option("--target", metavar="COLUMN", help="Column of true labels: no feature.")
@click.option("--exclude", metavar="COLUMN", multiple=True, help="Another that is no feature.")
@click.option(
    "--part-rows",
    type=click.IntRange(min=1),
    help="Rows of a part, about [default: 262144, or fewer of more than 128 features].",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes of this machine, one thread each [default: one a core]; 0: this one.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask scheduler, whose workers label.")
@teacher_options
@json_option
@click.option("--force", is_flag=True, help="Begin anew in a folder of other labels.")
def label(
    teacher: str,
    data: str,
    out: Path,
    kind: str | None,
    temperature: float | None,
    target: str | None,
    exclude: tuple[str, ...],
    part_rows: int | None,
    workers: int | None,
    scheduler: str | None,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    as_json: bool,
    force: bool,
) -> None:
    """Have a teacher label the rows of files, part by part, into a folder.

    Interrupted, or with a worker lost, the same command goes on with what is missing. Files that
    cannot be labelled are named, the others are labelled.

    --json prints "out", "files", "parts", "rows", "kept" (parts of earlier runs), "labelled",
    "rows_labelled", "failures" (by file or part), "seconds", "rows_per_second" and "versions".
    """
    if scheduler is not None and workers is not None:
        raise click.UsageError("--workers starts processes here; --scheduler has its own.")
    if temperature is not None and kind != "probabilities":
        raise click.UsageError(
            "--temperature belongs to --kind probabilities; logits give probabilities at any."
        )
    if not find_sources(data):
        raise click.UsageError(f"No file matches --data '{data}'.")
    if arch is not None:
        # A console script does not look in the current folder, where the user's module lies.
        sys.path.append(os.getcwd())
    processes = cpu_count() if workers is None else workers
    with Progress(
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        bar = progress.add_task("rows", total=None)
        done = label_parts(
            TeacherFile(teacher, arch, input_shape, trust),
            data,
            out,
            kind=kind,
            temperature=temperature,
            target=target,
            exclude=exclude,
            part_rows=part_rows,
            force=force,
            client=None
            if workers == 0
            else lambda parts: dask_client(scheduler, min(processes, parts)),
            on_part=lambda rows, total: progress.update(bar, completed=rows, total=total),
        )
    _report(done, as_json)


def _report(done: Labelling, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "out": str(done.folder),
                "files": done.n_files,
                "parts": done.n_parts,
                "rows": done.n_rows,
                "kept": done.n_kept,
                "labelled": len(done.labelled),
                "rows_labelled": done.n_rows_labelled,
                "failures": done.failures,
                "seconds": done.seconds,
                "rows_per_second": done.n_rows_labelled / done.seconds,
                "versions": versions(),
            }
        )
    else:
        kept = f", {done.n_kept} kept" if done.n_kept else ""
        parts = "part" if len(done.labelled) == 1 else "parts"
        click.echo(
            f"{done.folder}: {len(done.labelled)} {parts} labelled{kept}, {done.n_rows_labelled:,} "
            f"rows in {done.seconds:.0f} s"
        )
    if done.failures:
        failures = list(done.failures.items())
        for name, text in failures[:_SHOWN]:
            click.echo(f"{name}: {text}" if name not in text else text, err=True)
        more = "" if len(failures) <= _SHOWN else f" ({len(failures) - _SHOWN} not shown)"
        raise click.ClickException(
            f"{len(failures)} files or parts could not be labelled{more}. Put them right and run "
            "the command again; it does only these."
        )
