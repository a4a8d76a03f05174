"""`softkd distill`: the main job."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import click
import sklearn
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import soft_students
from soft_students.datasets import Dataset
from soft_students.distillation import Distillation, frames
from soft_students.distillation import distill as run
from soft_students.persistence import save
from soft_students.students import available, get_student
from soft_students.teachers import Teacher
from softkd.options import (
    COLUMNS,
    Setting,
    check_output,
    check_settings,
    data_options,
    output_options,
    print_json,
    read_data,
    read_teacher,
    show,
    teacher_options,
    threads_option,
)

_TITLES = {
    "student": "student: distilled",
    "labels_transfer": "labels + distorted",
    "labels": "labels alone",
}


@click.command()
@click.option(
    "--teacher", "teacher_path", required=True, type=click.Path(), help="The teacher file."
)
@click.option(
    "--student", type=click.Choice(list(available())), default="soft_tree", show_default=True
)
@data_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The student file [default: STUDENT-DATA.student].",
)
@click.option("--depth", type=click.IntRange(1, 16), help="Of a tree.")
@click.option("--temperature", type=float, help="Of the soft targets.")
@click.option("--hard-weight", type=click.FloatRange(0, 1), help="Of the true labels.")
@click.option("--epochs", type=click.IntRange(min=1))
@click.option("--prediction", type=click.Choice(["expectation", "greatest_path", "greedy"]))
@click.option(
    "--transfer",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="auto: of images, the teacher also labels distorted copies.",
)
@click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    help="Any other parameter of the student, e.g. --set batch_size=128.",
)
@click.option(
    "--baseline/--no-baseline",
    default=True,
    show_default=True,
    help="Also train the same student on labels alone, to compare.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@teacher_options
@threads_option
@output_options
def distill(
    teacher_path: str,
    student: str,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    out: Path | None,
    depth: int | None,
    temperature: float | None,
    hard_weight: float | None,
    epochs: int | None,
    prediction: str | None,
    transfer: str,
    settings: tuple[tuple[str, Any], ...],
    baseline: bool,
    seed: int,
    arch: str | None,
    trust: bool,
    threads: int,
    force: bool,
    as_json: bool,
) -> None:
    """Train a student on a teacher's soft targets, write it, and compare it on the test set.

    With --json, stdout holds one object: accuracy, agreement, kl_to_teacher, bytes and latency_us
    of the student; the same keys under "teacher", "labels" (the same student trained on labels
    alone) and, for images, "labels_transfer"; "accuracy_by_prediction" of a soft tree;
    "parameters", "seconds", "threads", "seed", "data", "out" and "versions".
    """
    if out is not None:
        check_output(out, force)
    teacher = read_teacher(teacher_path, arch, trust)
    dataset = read_data(data, data_dir, target, teacher)
    if teacher.classes_ is None and dataset.classes is not None:
        teacher.classes_ = dataset.classes
    if out is None:
        out = check_output(Path(f"{student}-{Path(dataset.name).stem}.student"), force)
    entry = get_student(student)
    estimator_class = entry.regressor if teacher.task == "regression" else entry.classifier
    known = estimator_class().get_params()
    options = {
        "depth": depth,
        "temperature": temperature,
        "hard_weight": hard_weight,
        "epochs": epochs,
        "prediction": prediction,
    }
    chosen = [(name, value) for name, value in options.items() if value is not None]
    parameters: dict[str, Any] = {"random_state": seed, "verbose": 1}
    if dataset.image_shape is not None and entry.image_settings is not None:
        parameters |= entry.image_settings(dataset.image_shape, len(dataset.X_train))
    if transfer == "none" and "transfer" in known:
        parameters["transfer"] = None
    parameters |= check_settings([*chosen, *settings], known)
    parameters = {name: value for name, value in parameters.items() if name in known}
    start = time.perf_counter()
    result = run(estimator_class(**parameters), teacher, dataset, baselines=baseline)
    result.student.set_params(verbose=0)
    save(result.student, out, overwrite=force)
    by_prediction = _by_prediction(result, dataset)
    if as_json:
        print_json(
            {
                **result.rows["student"],
                "accuracy_by_prediction": by_prediction,
                **{name: row for name, row in result.rows.items() if name != "student"},
                "student": student,
                "data": dataset.name,
                "out": str(out),
                "parameters": {
                    name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
                    for name, value in result.student.get_params(deep=False).items()
                },
                "seconds": {**result.seconds, "total": time.perf_counter() - start},
                "threads": threads,
                "seed": seed,
                "versions": _versions(),
            }
        )
        return
    console = Console()
    console.print(_table(result, teacher, dataset))
    if by_prediction:
        console.print(
            "Accuracy of the student by "
            + ", ".join(
                f"{name.replace('_', ' ')} {100 * value:.2f} %"
                for name, value in by_prediction.items()
            ),
            highlight=False,
        )
    console.print(f"Written: {os.fspath(out)}", highlight=False)


def _by_prediction(result: Distillation, data: Dataset) -> dict[str, float] | None:
    """Return the accuracy of a soft tree by each way of reading it."""
    student = result.student
    if not (hasattr(student, "prediction") and "accuracy" in result.rows["student"]):
        return None
    asked, X_test = student.prediction, frames(data)[1]
    accuracies = {}
    for prediction in ("expectation", "greatest_path", "greedy"):
        student.prediction = prediction
        accuracies[prediction] = float(student.score(X_test, data.y_test))
    student.prediction = asked
    return accuracies


def _table(result: Distillation, teacher: Teacher, data: Dataset) -> Table:
    table = Table(box=SIMPLE_HEAD, title=f"{data.name}: {len(data.X_test)} test rows")
    table.add_column("", no_wrap=True)
    for name in next(iter(result.rows.values())):
        table.add_column(COLUMNS[name][0], justify="right")
    table.add_column("time", justify="right")
    for name, row in result.rows.items():
        title = f"teacher: {teacher.name}" if name == "teacher" else _TITLES[name]
        seconds = f"{result.seconds[name]:.0f} s" if name in result.seconds else ""
        table.add_row(title, *(show(key, value) for key, value in row.items()), seconds)
    return table


def _versions() -> dict[str, str]:
    return {
        "soft-students": soft_students.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
    }
