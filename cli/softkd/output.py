"""Writes results: checks of output files, JSON and tables."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from soft_students.persistence.plain_json import json_text
from softkd.console import PLAIN, escaped

_UNLIMITED = 10**5  # columns of a file or a pipe
_SHORTEST = 12  # columns of text are not narrower, unless their words are shorter

Names = Iterable[str | os.PathLike[str]]


def check_output(path: Path, force: bool, inputs: Names) -> Path:
    """Return an output file; refuse one that could not be written after the work is done.

    Its folder is made if need be.

    Parameters
    ----------
    path : Path
    force : bool
        Whether an existing file may be replaced.
    inputs : iterable of path-like
        Files that the command reads, and folders of such files: none is ever replaced.
    """
    check_not_read(path, inputs)
    try:
        if path.is_dir():
            raise click.ClickException(f"'{path}' is a folder; --out must be a file.")
        if path.exists():
            if not path.is_file():
                raise click.ClickException(f"'{path}' is a device or a pipe, not a file.")
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


def check_folder(folder: Path, inputs: Names) -> Path:
    """Return a folder for output; refuse one that holds a file which the command reads."""
    for name in inputs:
        if os.path.exists(name) and Path(name).resolve().is_relative_to(folder.resolve()):
            raise click.UsageError(
                f"The command reads '{name}', which lies in '{folder}', where it writes. Choose "
                "another --out."
            )
    return folder


def check_not_read(path: Path, inputs: Names) -> None:
    """Refuse, as bad usage, to replace a file that is read, by whatever path."""
    if not path.exists():
        return
    for name in inputs:
        files = [Path(name)]
        if files[0].is_dir():
            files = [file for file in files[0].rglob("*") if file.is_file()]
        if any(file.exists() and path.samefile(file) for file in files):
            raise click.UsageError(
                f"The command reads '{path}', and never replaces what it reads. Choose another "
                "file to write."
            )


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


def check_checkpoint(out: Path, resume: bool, force: bool, inputs: Names) -> Path:
    """Return the file for the state of a training until `out` is written.

    The state of an interrupted training is not discarded without ``--resume`` or ``--force``.
    """
    path = out.with_name(f"{out.name}.checkpoint")
    check_not_read(path, inputs)
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
    """Print a table of plain text on stdout; no figure is cut, however narrow the terminal is.

    Columns of figures are those justified to the right. If they do not fit side by side, each row
    becomes a paragraph.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    width = None if sys.stdout.isatty() else _UNLIMITED
    console = Console(width=width, highlight=False, markup=False, emoji=False)

    def shown(text: Any) -> str:
        return escaped(str(text)).encode(encoding, PLAIN).decode(encoding)

    rows = [[shown(c) for c in row] for row in zip(*(c.cells for c in table.columns), strict=True)]
    title = None if table.title is None else shown(table.title)
    made = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=table.show_header,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),  # a result table then fits into 80 columns
    )
    headings = [shown(column.header) for column in table.columns]
    rigid = [column.justify == "right" or column.no_wrap for column in table.columns]
    widths = _widths(headings, rows, rigid, console.width)
    if widths is None:
        for line in _paragraphs(title, headings, rows):
            console.print(line, soft_wrap=True)
        return
    for heading, column, size in zip(headings, table.columns, widths, strict=True):
        made.add_column(heading, justify=column.justify, width=size, overflow="fold")
    for row in rows:
        made.add_row(*row)
    console.print(made)


def _widths(
    headings: list[str], rows: list[list[str]], rigid: list[bool], width: int
) -> list[int] | None:
    """Return the widths of columns, of which the rigid ones have whole cells; None if too wide."""
    least, most = [], []
    for place, (heading, whole) in enumerate(zip(headings, rigid, strict=True)):
        cells = [line for row in rows for line in row[place].splitlines()]
        most.append(max(map(cell_len, [heading, *cells])))
        words = [cell_len(word) for text in (heading, *cells) for word in text.split()]
        shortest = min(max(words, default=0), _SHORTEST)
        least.append(
            max(map(cell_len, [*heading.split(), *cells]), default=0) if whole else shortest
        )
    spare = width - sum(least) - (2 * len(least) - 1)  # a space behind each, and one between two
    if spare < 0:
        return None
    widths = []
    for need, wish in zip(least, most, strict=True):
        widths.append(min(wish, need + spare))
        spare -= widths[-1] - need
    return widths


def _paragraphs(title: str | None, headings: list[str], rows: list[list[str]]) -> Iterator[str]:
    if title is not None:
        yield title
    for name, *cells in rows:
        yield f"\n{name}"
        for heading, cell in zip(headings[1:], cells, strict=True):
            if cell:
                yield f"  {heading}: {cell}"


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
