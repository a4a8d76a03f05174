"""Options and parameter types that several commands share."""

from __future__ import annotations

import ast
import difflib
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import torch

from soft_students.datasets import Dataset, load_dataset
from soft_students.teachers import Teacher, load_teacher


class Setting(click.ParamType):
    """``name=value``, the value read as JSON or a Python literal, else as text."""

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals or not name.isidentifier():
            self.fail(f"{value!r} is not of the form name=value.", param, ctx)
        for read in (json.loads, ast.literal_eval):
            try:
                return name, read(text)
            except (ValueError, SyntaxError):
                continue
        return name, text


def check_settings(settings: Iterable[tuple[str, Any]], known: Iterable[str]) -> dict[str, Any]:
    """Return settings as a dict; a name that the student lacks is bad usage."""
    known = sorted(known)
    for name, _ in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.BadParameter(
                f"There is no parameter {name!r}.{hint} Parameters: {', '.join(known)}.",
                param_hint="--set",
            )
    return dict(settings)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``, ``--data-dir`` and ``--target``."""
    for option in (
        click.option("--target", metavar="COLUMN", help="Column of a table that holds the labels."),
        click.option(
            "--data-dir",
            type=click.Path(exists=True, file_okay=False),
            help="Folder of IDX files for mnist and fashion_mnist [default: $SOFTKD_DATA, the "
            "cache, then the network].",
        ),
        click.option(
            "--data",
            metavar="NAME|FILE",
            help="digits, mnist, fashion_mnist, or a table: .csv, .parquet, .npz.",
        ),
    ):
        command = option(command)
    return command


def teacher_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--arch`` and ``--trust``, which say how to read a teacher file."""
    for option in (
        click.option(
            "--trust",
            is_flag=True,
            help="Allow teacher files that can run code when they are loaded: pickles and "
            "torch.export archives.",
        ),
        click.option(
            "--arch",
            metavar="MODULE:FACTORY",
            help="Makes the module for a teacher file that is a plain state dict.",
        ),
    ):
        command = option(command)
    return command


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--force`` and ``--json``."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("--force", is_flag=True, help="Replace an existing output file."),
    ):
        command = option(command)
    return command


def threads_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--threads``, and set torch's threads by it."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        default=torch.get_num_threads,
        callback=_set_threads,
        help="Threads of training [default: $OMP_NUM_THREADS, else all cores].",
    )(command)


def _set_threads(ctx: click.Context, param: click.Parameter, value: int) -> int:
    torch.set_num_threads(value)
    return value


def check_output(path: Path, force: bool) -> Path:
    """Refuse an output that could not be written after the work is done."""
    if path.is_dir():
        raise click.ClickException(f"'{path}' is a folder; --out must be a file.")
    if path.exists() and not force:
        raise click.ClickException(f"'{path}' exists. Choose another --out, or pass --force.")
    folder = path.resolve().parent
    folder_above = folder
    while not folder_above.exists():
        folder_above = folder_above.parent
    if not folder_above.is_dir() or not os.access(folder_above, os.W_OK | os.X_OK):
        raise click.ClickException(f"Cannot write into the folder '{folder_above}'.")
    folder.mkdir(parents=True, exist_ok=True)
    return path


def read_data(
    data: str | None,
    data_dir: str | None,
    target: str | None,
    teacher: Teacher | None = None,
) -> Dataset:
    """Load the data that the user named, or those that the teacher was trained on."""
    if data is None:
        known = {} if teacher is None or teacher.record is None else teacher.record.data
        data = known.get("data")
        if data is None:
            raise click.UsageError(
                "The teacher file does not say which data it was trained on. Name them: --data."
            )
        target = target or known.get("target")
        remembered = known.get("data_dir")
        if data_dir is None and remembered and os.path.isdir(remembered):
            data_dir = remembered
        click.echo(f"Data: {data}, on which the teacher was trained.", err=True)
    return load_dataset(data, data_dir=data_dir, target=target)


def read_teacher(path: str, arch: str | None, trust: bool, data: Dataset | None = None) -> Teacher:
    """Load a teacher; what its file does not say comes from the data."""
    if arch is not None:
        # A console script does not look in the current folder, where the user's module lies.
        sys.path.append(os.getcwd())
    teacher = load_teacher(path, arch=arch, trust=trust)
    if data is not None and teacher.classes_ is None and data.classes is not None:
        teacher.classes_ = data.classes
    return teacher


def print_json(result: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(result, indent=2, default=str, allow_nan=False))


#: Heading of each measure, and how it is shown.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "accuracy": ("accuracy", "{:.2%}".format),
    "agreement": ("agreement", "{:.2%}".format),
    "kl_to_teacher": ("KL", "{:.4f}".format),
    "r2": ("R²", "{:.4f}".format),
    "r2_to_teacher": ("R² to teacher", "{:.4f}".format),
    "mse_to_teacher": ("MSE to teacher", "{:.4g}".format),
    "bytes": ("bytes", "{:,}".format),
    "latency_us": ("µs/row", "{:,.0f}".format),
}


def show(name: str, value: Any) -> str:
    """Return one measure as text."""
    return "" if value is None else COLUMNS[name][1](value)
