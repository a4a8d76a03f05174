"""Writes results: checks of output files, JSON and tables."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from soft_students.persistence.plain_json import json_text


def check_output(path: Path, force: bool, inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Return an output file; refuse one that could not be written after the work is done.

    Its folder is made if need be. A file that is also an input is never replaced.
    """
    try:
        if path.is_dir():
            raise click.ClickException(f"'{path}' is a folder; --out must be a file.")
        if path.exists():
            if not path.is_file():
                raise click.ClickException(f"'{path}' is a device or a pipe, not a file.")
            if any(os.path.exists(name) and path.samefile(name) for name in inputs):
                raise click.ClickException(f"'{path}' is also an input. Choose another --out.")
            if not force:
                raise click.ClickException(
                    f"'{path}' exists. Choose another --out, or pass --force."
                )
        folder = path.resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        # Permissions do not stop a superuser, and some file systems refuse files.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise click.ClickException(
            f"Cannot write '{path}': {error.strerror or error}. Choose another --out."
        ) from error
    return path


def check_page(path: Path) -> None:
    """Refuse, as bad usage, an ``--out`` that is not named like an HTML page."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise click.BadParameter(f"A page ends in .html. Got '{path}'.", param_hint="--out")


def check_picture(path: Path, option: str) -> None:
    """Refuse, as bad usage, a file of an option that is not named like a picture."""
    from soft_students.explain import PICTURE_SUFFIXES

    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise click.BadParameter(
            f"A picture ends in {', '.join(PICTURE_SUFFIXES)}. Got '{path}'.", param_hint=option
        )


def check_checkpoint(out: Path, resume: bool, force: bool) -> Path:
    """Return the file for the state of a training until `out` is written.

    The state of an interrupted training is not discarded without ``--resume`` or ``--force``.
    """
    path = out.with_name(f"{out.name}.checkpoint")
    if path.exists() and not (resume or force):
        raise click.ClickException(
            f"'{path}' holds a training that was interrupted. Pass --resume to go on with it, or "
            "--force to begin anew."
        )
    return path


def print_written(path: Path, as_json: bool) -> None:
    """Print the name and size of the one file that a command has written."""
    size = path.stat().st_size
    if as_json:
        print_json({"out": str(path), "bytes": size})
    else:
        click.echo(f"Written: {path} ({size:,} bytes)")


def plain_parameters(student: Any) -> dict[str, Any]:
    """Return a student's parameters as JSON values; objects as the text that makes them."""
    return {
        name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
        for name, value in student.get_params(deep=False).items()
    }


def print_json(result: Any) -> None:
    """Print JSON on stdout; numbers that are not finite become null."""
    click.echo(json_text(result, indent=2))


def print_table(table: Table) -> None:
    """Print a table on stdout, in full width unless a terminal limits it."""
    table.box, table.show_edge, table.pad_edge = box.SIMPLE_HEAD, False, False
    table.padding = (0, 1, 0, 0)  # a result table then fits into 80 columns
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


#: Heading and format of each measure.
_MEASURES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "accuracy": ("accuracy", "{:.2%}".format),
    "agreement": ("agreement", "{:.2%}".format),
    "kl_to_teacher": ("KL to teacher", "{:.4f}".format),
    "r2": ("R²", "{:.4f}".format),
    "r2_to_teacher": ("R² to teacher", "{:.4f}".format),
    "mse_to_teacher": ("MSE to teacher", "{:.4g}".format),
    "bytes": ("bytes", "{:,}".format),
    "latency_us": ("µs/row", "{:,.0f}".format),
    "seconds": ("time", "{:.0f} s".format),
}


def result_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table of measures, one row per model."""
    names = list(next(iter(rows.values())))
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(_MEASURES[name][0], justify="right")
    for model, row in rows.items():
        shown = ("" if row[name] is None else _MEASURES[name][1](row[name]) for name in names)
        table.add_row(model, *shown)
    return table
