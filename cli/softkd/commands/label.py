"""`softkd label`: a teacher labels more rows than memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from softkd.options import json_option, teacher_options

#: Failures that are printed; the others are counted.
_SHOWN = 20


@click.command()
@click.option("--teacher", required=True, type=click.Path(), help="The teacher file.")
@click.option(
    "--data",
    required=True,
    metavar="PATTERN",
    type=click.Path(),
    help="Files .parquet or .npy, or folders of Zarr arrays: 'big/*.parquet', in quotes.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the targets. Parts that an earlier run has finished there are kept.",
)
@click.option(
    "--kind",
    type=click.Choice(["logits", "probabilities"]),
    help="Answers of a classifier to write [default: logits].",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, min_open=True),
    help="Temperature of --kind probabilities [default: 1].",
)
@click.option("--target", metavar="COLUMN", help="Column of true labels: no feature.")
@click.option(
    "--exclude", metavar="COLUMN", multiple=True, help="Another column that is no feature."
)
@click.option(
    "--part-rows",
    type=click.IntRange(min=1),
    help="Approximate rows per part [default: 262144, or fewer with more than 128 features].",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes on this machine, one thread each [default: one per core]; 0: this process.",
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Address of a Dask scheduler; its workers label."
)
@teacher_options
@click.option(
    "--teacher-kind",
    type=click.Choice(["logits", "probabilities"]),
    help="What the teacher's outputs are, if the teacher file does not record it.",
)
@json_option
@click.option("--force", is_flag=True, help="Start again in a folder that holds other labels.")
def label(
    teacher: str,
    data: str,
    out: Path,
    temperature: float | None,
    workers: int | None,
    scheduler: str | None,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    classes: tuple[str, ...] | None,
    teacher_kind: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Label the rows of files by a teacher, part by part.

    The files may hold more rows than memory; the labels are written to a folder. If the command was
    interrupted or a worker was lost, the same command labels the missing parts. Files that cannot
    be labelled are listed, and the others are labelled.

    --json prints "out", "files", "parts", "rows", "kept" (parts of earlier runs), "labelled",
    "rows_labelled", "failures" (by file or part), "seconds", "rows_per_second" and "versions".
    """
    if scheduler is not None and workers is not None:
        raise click.UsageError("--workers starts processes here; --scheduler has its own.")
    if temperature is not None and settings["kind"] != "probabilities":
        raise click.UsageError(
            "--temperature belongs to --kind probabilities; logits give probabilities at any."
        )
    from joblib import cpu_count
    from rich.progress import MofNCompleteColumn

    from soft_students.dask.cluster import dask_client
    from soft_students.labelled import TeacherFile, label_parts
    from soft_students.labelled.plan import find_sources
    from soft_students.progress import progress_bar
    from softkd.output import check_folder
    from softkd.reading import import_from_here, labels_of

    sources = find_sources(data)
    if not sources:
        raise click.UsageError(f"No file matches --data '{data}'.")
    check_folder(out, [teacher, *sources])
    if arch is not None:
        import_from_here()
    processes = cpu_count() if workers is None else workers
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("rows", total=None)
        done = label_parts(
            TeacherFile(teacher, arch, input_shape, trust, labels_of(classes, None), teacher_kind),
            data,
            out,
            temperature=temperature,
            client=None
            if workers == 0
            else lambda parts: dask_client(scheduler, min(processes, parts)),
            on_part=lambda rows, total: bar.update(task, completed=rows, total=total),
            **settings,
        )
    _print(done, as_json)
    if done.failures:
        _fail(done.failures)


def _print(done: Any, as_json: bool) -> None:
    from soft_students.versions import versions
    from softkd.output import print_json

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
        return
    kept = f", {done.n_kept} kept" if done.n_kept else ""
    parts = "part" if len(done.labelled) == 1 else "parts"
    click.echo(
        f"{done.folder}: {len(done.labelled)} {parts} labelled{kept}, {done.n_rows_labelled:,} "
        f"rows in {done.seconds:.0f} s"
    )


def _fail(failures: dict[str, str]) -> None:
    for name, text in list(failures.items())[:_SHOWN]:
        click.echo(f"{name}: {text}" if name not in text else text, err=True)
    more = "" if len(failures) <= _SHOWN else f" ({len(failures) - _SHOWN} not shown)"
    raise click.ClickException(
        f"{len(failures)} files or parts could not be labelled{more}. Correct them and run the "
        "command again; it labels only these."
    )
