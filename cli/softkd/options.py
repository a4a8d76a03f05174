"""Options and parameter types that several commands share, and what they are turned into."""

from __future__ import annotations

import ast
import difflib
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from soft_students.datasets import Dataset, check_complete, load_dataset

if TYPE_CHECKING:  # these import torch, which takes seconds and which predicting does without
    from sklearn.base import BaseEstimator

    from soft_students.teachers import Teacher
    from soft_students.transfer import Transfer


class Setting(click.ParamType):
    """``name=value``, the value read as JSON or a Python literal, else as text.

    Names may have dots in them: ``rkd.angle_weight=50``.
    """

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals or not all(part.isidentifier() for part in name.split(".")):
            self.fail(f"{value!r} is not of the form name=value.", param, ctx)
        for read in (json.loads, ast.literal_eval):
            try:
                return name, read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue  # the last two are Python's words for too deeply nested
        return name, text


class NumberOrAuto(click.ParamType):
    """A number of another type, or the word ``auto``."""

    name = "number|auto"

    def __init__(self, number: click.ParamType) -> None:
        self.number = number

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Return the number, or ``"auto"``."""
        if value == "auto":
            return value
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'auto'.", param, ctx)
        return self.number.convert(value, param, ctx)


class Shape(click.ParamType):
    """Sizes with commas between them, such as ``1,28,28``."""

    name = "sizes"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the sizes."""
        if isinstance(value, tuple):
            return value
        try:
            shape = tuple(int(size) for size in value.split(","))
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            self.fail(f"{value!r} is not a shape, such as 1,28,28.", param, ctx)
        return shape


def make_student(
    cls: type[BaseEstimator], presets: Mapping[str, Any], chosen: Iterable[tuple[str, Any]]
) -> BaseEstimator:
    """Return a student with the user's parameters; what it does not take is bad usage.

    Presets, which the user did not ask for, are left out where the student has no such parameter.
    """
    return _configured(cls, presets, chosen)


def _configured(
    cls: type[BaseEstimator], presets: Mapping[str, Any], chosen: Iterable[tuple[str, Any]]
) -> BaseEstimator:
    known = sorted(cls().get_params(deep=False))
    parameters = {name: value for name, value in presets.items() if name in known}
    for name, value in chosen:
        if "." in name and "method_params" in known:
            parameters["method_params"] = {**(parameters.get("method_params") or {}), name: value}
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(
                f"{cls.__name__} has no parameter {name!r}.{hint} It has: {', '.join(known)}."
            )
        parameters[name] = value
    made = cls(**parameters)
    try:
        made._validate_params()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return made


def make_transfer(
    name: str, chosen: Iterable[tuple[str, Any]], image_shape: tuple[int, ...] | None
) -> Transfer:
    """Return a transfer set with the user's parameters; what it does not take is bad usage."""
    from soft_students.transfer import TRANSFERS

    cls = TRANSFERS[name]
    made: Transfer = _configured(cls, {"image_shape": image_shape}, chosen)
    return made


def check_method_parameters(student: BaseEstimator) -> None:
    """Refuse, as bad usage, methods of a neural student that do not exist or lack a parameter."""
    from soft_students.methods import make_method

    parameters = student.get_params(deep=False)
    try:
        make_method(parameters["method"], parameters["method_params"])
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``, ``--data-dir`` and ``--target``."""
    for option in (
        click.option("--target", metavar="COLUMN", help="Column of a table that holds the labels."),
        click.option(
            "--data-dir",
            metavar="FOLDER",
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
    """Add ``--arch``, ``--input-shape`` and ``--trust``, which say how to read a teacher file."""
    for option in (
        click.option(
            "--trust",
            is_flag=True,
            help="Allow files that can run code when they are loaded, such as pickles.",
        ),
        click.option(
            "--input-shape",
            type=Shape(),
            help="Of one input, for a teacher file that does not say: 1,28,28.",
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
        json_option,
        click.option("--force", is_flag=True, help="Replace an existing output file."),
    ):
        command = option(command)
    return command


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def threads_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--threads``, and have torch use as many while the command runs."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        default=_torch_threads,
        callback=_set_threads,
        help="Threads of training [default: $OMP_NUM_THREADS, else all cores].",
    )(command)


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()


def _set_threads(ctx: click.Context, param: click.Parameter, value: int) -> int:
    from soft_students.threads import torch_threads

    ctx.with_resource(torch_threads(value))
    return value


resume_option = click.option(
    "--resume",
    is_flag=True,
    help="Go on where an earlier run of the same command was interrupted: from OUT.checkpoint, if "
    "it is there.",
)


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--devices`` and ``--num-nodes``."""
    for option in (
        click.option(
            "--num-nodes",
            type=click.IntRange(min=1),
            help="Hosts that train together, on each of which torchrun starts the processes "
            "[default: 1].",
        ),
        click.option(
            "--devices",
            type=click.IntRange(min=1),
            help="Processes of this host that train together a soft_tree or neural student, each "
            "on a device of its own [default: 1].",
        ),
    ):
        command = option(command)
    return command


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--workers`` and ``--scheduler``."""
    for option in (
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Of a Dask scheduler, whose workers train xgboost on --targets.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            help="Processes of this machine that train xgboost on --targets, one thread each "
            "[default: one a core].",
        ),
    ):
        command = option(command)
    return command


def check_output(path: Path, force: bool, inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Refuse an output that could not be written after the work is done.

    Its folder is made if need be. A file that is an input, too, is never replaced.
    """
    try:
        if path.is_dir():
            raise click.ClickException(f"'{path}' is a folder; --out must be a file.")
        if path.exists():
            if not path.is_file():
                raise click.ClickException(f"'{path}' is a device or a pipe, not a file.")
            if any(os.path.exists(name) and path.samefile(name) for name in inputs):
                raise click.ClickException(f"'{path}' is read as well. Choose another --out.")
            if not force:
                raise click.ClickException(
                    f"'{path}' exists. Choose another --out, or pass --force."
                )
        folder = path.resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        # Permissions tell a superuser nothing, and not every file system takes files.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise click.ClickException(
            f"Cannot write '{path}': {error.strerror or error}. Choose another --out."
        ) from error
    return path


def check_checkpoint(out: Path, resume: bool, force: bool) -> Path:
    """Return where the state of a training is kept until `out` is written.

    What an interrupted training has left is not thrown away unasked.
    """
    path = out.with_name(f"{out.name}.checkpoint")
    if path.exists() and not (resume or force):
        raise click.ClickException(
            f"'{path}' holds a training that was interrupted. Pass --resume to go on with it, or "
            "--force to begin anew."
        )
    return path


def read_data(
    data: str | None,
    data_dir: str | None,
    target: str | None,
    trained_on: Mapping[str, Any] | None = None,
) -> Dataset:
    """Load the data that the user named, or what a teacher or student says it was trained on."""
    if data is None:
        known = trained_on or {}
        data = known.get("data")
        if not isinstance(data, str):
            raise click.UsageError(
                "The file of the model does not say which data it was trained on. Name them: "
                "--data."
            )
        target = target or known.get("target")
        remembered = known.get("data_dir")
        if data_dir is None and remembered and os.path.isdir(remembered):
            data_dir = remembered
        if os.path.isabs(data) and not os.path.exists(data):
            raise click.ClickException(
                f"The model was trained on '{data}', which is no longer there. Name the data: "
                "--data."
            )
        click.echo(f"Data: {data}, on which the model was trained.", err=True)
    dataset = load_dataset(data, data_dir=data_dir, target=target)
    for rows in (dataset.X_train, dataset.X_test):
        check_complete(rows, dataset.feature_names, f"'{data}'")
    return dataset


def read_test_rows(student: Any, dataset: Dataset) -> Any:
    """Return the test rows, with the names of their columns if the student knows them."""
    from soft_students.comparison.distillation import held_out_rows

    n_features = getattr(student, "n_features_in_", None)
    if n_features not in (None, dataset.X_test.shape[1]):
        raise click.ClickException(
            f"{dataset.name} has {dataset.X_test.shape[1]} features, but the student takes "
            f"{n_features}. Name the data that it was trained on: --data."
        )
    return held_out_rows(student, dataset)


def read_teacher_and_data(
    paths: Sequence[str],
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    data: str | None,
    data_dir: str | None,
    target: str | None,
) -> tuple[Teacher, Dataset]:
    """Load both; what the file of one does not say, the other tells.

    Several teachers become an ensemble.
    """
    from soft_students.teachers import EnsembleTeacher, load_teacher

    if arch is not None:
        # A console script does not look in the current folder, where the user's module lies.
        sys.path.append(os.getcwd())
    dataset = None if data is None else read_data(data, data_dir, target)
    teachers = [
        load_teacher(
            path,
            arch=arch,
            input_shape=input_shape,
            trust=trust,
            task=None if dataset is None else dataset.task,
        )
        for path in paths
    ]
    if dataset is None:
        dataset = read_data(None, data_dir, target, data_of(*teachers))
    for teacher in teachers:
        if (
            teacher.task == "classification"
            and teacher.classes_ is None
            and dataset.task == teacher.task
        ):
            outputs = teacher.logits(dataset.X_train[:1]).shape[1]
            if dataset.classes is not None and outputs == len(dataset.classes):
                teacher.classes_ = dataset.classes
    return teachers[0] if len(teachers) == 1 else EnsembleTeacher(teachers), dataset


def data_of(*teachers: Teacher) -> dict[str, Any]:
    """Return what the first teacher that remembers its data says of them."""
    from soft_students.teachers import EnsembleTeacher

    for teacher in teachers:
        if isinstance(teacher, EnsembleTeacher):
            return data_of(*teacher.members)
        if teacher.record is not None:
            return teacher.record.data
    return {}


def describe_data(
    dataset: Dataset, data: str, data_dir: str | None, target: str | None
) -> dict[str, Any]:
    """Return what the file of a model keeps of its data, for `read_data` to find them again."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "data": os.path.abspath(data) if os.path.exists(data) else data,
        "data_dir": None if data_dir is None else os.path.abspath(data_dir),
        "target": target,
        "feature_names": dataset.feature_names,
    }


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    names = ("soft-students", "torch", "scikit-learn", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def print_json(result: Any) -> None:
    """Print JSON on stdout; what is not a finite number becomes null."""
    click.echo(json.dumps(_finite(result), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_parameters(student: BaseEstimator) -> dict[str, Any]:
    """Return a student's parameters as JSON values; objects as the text that makes them."""
    return {
        name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
        for name, value in student.get_params(deep=False).items()
    }


def chosen_settings(student: BaseEstimator) -> dict[str, float]:
    """Return what a fitted student has chosen for its parameters that are ``"auto"``."""
    chosen = {}
    for name in ("temperature", "hard_weight"):
        if student.get_params(deep=False).get(name) == "auto":
            chosen[name] = vars(student)[f"{name}_"]
    return chosen


def print_table(table: Table) -> None:
    """Print a table on stdout, in full width unless a terminal limits it."""
    table.box, table.show_edge, table.pad_edge = box.SIMPLE_HEAD, False, False
    table.padding = (0, 1, 0, 0)  # a result table then fits into 80 columns
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


#: Heading of each measure, and how it is shown.
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
    """Return a table of measures, one row a model."""
    names = list(next(iter(rows.values())))
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(_MEASURES[name][0], justify="right")
    for model, row in rows.items():
        shown = ("" if row[name] is None else _MEASURES[name][1](row[name]) for name in names)
        table.add_row(model, *shown)
    return table
