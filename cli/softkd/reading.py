"""Reads the data and the teachers that options name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from soft_students.datasets import Dataset, check_complete, load_dataset

if TYPE_CHECKING:  # these import torch, which takes seconds; predicting does without it
    from soft_students.teachers import Teacher


def read_data(
    data: str | None,
    data_dir: str | None,
    target: str | None,
    trained_on: Mapping[str, Any] | None = None,
) -> Dataset:
    """Load the data of ``--data``, or those that a model was trained on.

    Parameters
    ----------
    data, data_dir, target : str or None
        The options.
    trained_on : dict or None
        What the model's file records of its data, see `describe_data`.
    """
    if data is None:
        data, data_dir, target = _recorded(trained_on or {}, data_dir, target)
    dataset = load_dataset(data, data_dir=data_dir, target=target)
    for rows in (dataset.X_train, dataset.X_test):
        check_complete(rows, dataset.feature_names, f"'{data}'")
    return dataset


def _recorded(
    known: Mapping[str, Any], data_dir: str | None, target: str | None
) -> tuple[str, str | None, str | None]:
    """Return data, their folder and their target as a model's file records them."""
    data = known.get("data")
    if not isinstance(data, str):
        raise click.UsageError(
            "The model's file does not record which data it was trained on. Name them: --data."
        )
    if os.path.isabs(data) and not os.path.exists(data):
        raise click.ClickException(
            f"The model was trained on '{data}', which is no longer there. Name the data: --data."
        )
    folder = known.get("data_dir")
    if data_dir is None and folder and os.path.isdir(folder):
        data_dir = folder
    click.echo(f"Data: {data}, on which the model was trained.", err=True)
    return data, data_dir, target or known.get("target")


def describe_data(
    dataset: Dataset, data: str, data_dir: str | None, target: str | None
) -> dict[str, Any]:
    """Return what a model's file records of its data, for `read_data` to find them again."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "data": os.path.abspath(data) if os.path.exists(data) else data,
        "data_dir": None if data_dir is None else os.path.abspath(data_dir),
        "target": target,
        "feature_names": dataset.feature_names,
    }


def read_test_rows(student: Any, dataset: Dataset) -> Any:
    """Return the test rows, with names of columns if the student was fitted on names."""
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
    """Load teacher and data; what one of them does not specify is taken from the other.

    Several teachers become an ensemble.
    """
    from soft_students.teachers import EnsembleTeacher, load_teacher

    if arch is not None:
        import_from_here()
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
        _take_classes(teacher, dataset)
    return teachers[0] if len(teachers) == 1 else EnsembleTeacher(teachers), dataset


def import_from_here() -> None:
    """Let modules in the current folder be imported, which a console script does not do."""
    sys.path.append(os.getcwd())


def _take_classes(teacher: Teacher, dataset: Dataset) -> None:
    """Give the classes of the data to a classifier whose file does not name its own."""
    if teacher.task != "classification" or teacher.classes_ is not None:
        return
    if dataset.classes is None:
        return
    outputs = teacher.logits(dataset.X_train[:1]).shape[1]
    if outputs == len(dataset.classes):
        teacher.classes_ = dataset.classes


def data_of(*teachers: Teacher) -> dict[str, Any]:
    """Return what the first teacher with a record of its data has recorded."""
    from soft_students.teachers import EnsembleTeacher

    for teacher in teachers:
        if isinstance(teacher, EnsembleTeacher):
            return data_of(*teacher.members)
        if teacher.record is not None:
            return teacher.record.data
    return {}
