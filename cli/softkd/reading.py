"""Reads the data and the teachers that options name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soft_students.datasets import Dataset, check_complete

if TYPE_CHECKING:  # these import torch, which takes seconds; predicting does without it
    from soft_students.teachers import Teacher


@dataclass(frozen=True)
class Source:
    """The data that options name, or that a model's file records.

    Parameters
    ----------
    data, data_dir, target, test_data : str or None
        The options.
    """

    data: str | None = None
    data_dir: str | None = None
    target: str | None = None
    test_data: str | None = None

    def or_recorded(self, records: Sequence[Mapping[str, Any]]) -> Source:
        """Return the data of the options, else those of the first record that names data."""
        if self.data is not None:
            return self
        known = next((record for record in records if isinstance(record.get("data"), str)), None)
        if known is None:
            raise click.UsageError(
                "The model's file does not record which data it was trained on. Name them: --data."
            )
        for path in (known["data"], known.get("test_data")):
            if path is not None and os.path.isabs(path) and not os.path.exists(path):
                raise click.ClickException(
                    f"The model was trained on '{path}', which is no longer there. Name the data: "
                    "--data."
                )
        folder = self.data_dir
        if folder is None and known.get("data_dir") and os.path.isdir(known["data_dir"]):
            folder = known["data_dir"]
        click.echo(f"Data: {known['data']}, on which the model was trained.", err=True)
        test_data = self.test_data or known.get("test_data")
        return Source(known["data"], folder, self.target or known.get("target"), test_data)

    def files(self) -> list[str]:
        """Return the files that are read, as far as the options name them."""
        named = [path for path in (self.data, self.test_data) if path is not None]
        if self.data_dir is not None:
            folder = Path(self.data_dir)
            named += [str(path) for path in folder.rglob("*ubyte*")]
        return named

    def describe(
        self,
        dataset: Dataset,
        *,
        split: bool,
        columns: Sequence[str] | None = None,
        unlabeled: Any = None,
    ) -> dict[str, Any]:
        """Return what a model's file records of its data, to know them again.

        Parameters
        ----------
        dataset : Dataset
        split : bool
            Whether the test rows are those that `load_dataset` cuts off.
        columns : sequence of str or None
            Those that the model is trained on; None stands for all.
        unlabeled : array-like of shape (n, n_features) or None
            Further rows that it is trained on.
        """
        from soft_students.datasets import available_datasets
        from soft_students.datasets.trained_rows import TrainedRows

        rows = {}
        if self.data not in available_datasets():
            chosen = dataset if columns is None else dataset.select(columns)
            of = TrainedRows.of(chosen, split=split, unlabeled=unlabeled)
            rows = {"trained_rows": of.as_dict()}
        paths = [
            os.path.abspath(path) if path is not None and os.path.exists(path) else path
            for path in (self.data, self.test_data)
        ]
        return {
            "name": dataset.name,
            "source": dataset.source,
            "data": paths[0],
            "data_dir": None if self.data_dir is None else os.path.abspath(self.data_dir),
            "target": self.target,
            **({} if paths[1] is None else {"test_data": paths[1]}),
            "feature_names": dataset.feature_names,
            **rows,
        }


@dataclass(frozen=True)
class TeacherOptions:
    """What the options of a command say of its teachers.

    Parameters
    ----------
    arch, input_shape, trust, classes, kind
        The options.
    """

    arch: str | None = None
    input_shape: tuple[int, ...] | None = None
    trust: bool = False
    classes: tuple[str, ...] | None = None
    kind: str | None = None

    def load(self, paths: Sequence[str], task: str | None, labels: Any) -> list[Teacher]:
        """Load the teachers.

        Parameters
        ----------
        paths : sequence of str
        task : {"classification", "regression"} or None
            For files that do not record it.
        labels : ndarray or None
            Labels of the data, among which ``--classes`` are looked up.
        """
        from soft_students.teachers import load_teacher

        if self.arch is not None:
            import_from_here()
        return [
            load_teacher(
                path,
                arch=self.arch,
                input_shape=self.input_shape,
                trust=self.trust,
                classes=labels_of(self.classes, labels),
                kind=self.kind,
                task=task,
            )
            for path in paths
        ]


def labels_of(words: Sequence[str] | None, labels: Any) -> tuple[Any, ...] | None:
    """Return the labels that ``--classes`` writes as text.

    Parameters
    ----------
    words : sequence of str or None
    labels : ndarray or None
        Labels of the data; without, whole numbers are numbers.
    """
    if words is None:
        return None
    known = {} if labels is None else {str(label): label for label in labels.tolist()}
    numbers = labels is None or labels.dtype.kind in "iuf"
    whole = numbers and all(word.lstrip("-").isdecimal() for word in words)
    return tuple(known.get(word, int(word) if whole else word) for word in words)


def read_rows(source: Source) -> tuple[Dataset, bool]:
    """Load data to train a teacher on.

    Returns
    -------
    dataset : Dataset
    split : bool
        Whether the test rows are those that `load_dataset` cuts off.
    """
    from softkd.rows import training_rows

    dataset, split = training_rows(load_whole(source), source, [])
    refuse_missing(dataset, source, "a network")
    return dataset, split


def read_training_data(
    paths: Sequence[str], source: Source, options: TeacherOptions
) -> tuple[Teacher, Dataset, Source, bool]:
    """Load teachers, and data for a student to learn and be measured on.

    Rows that a teacher was trained on are no test rows.

    Returns
    -------
    teacher : Teacher
    dataset : Dataset
    source : Source
        The data of the options, or those that a teacher was trained on.
    split : bool
        Whether the test rows are those that `load_dataset` cuts off.
    """
    from softkd.rows import training_rows

    whole = None if source.data is None else load_whole(source)
    task, labels = (None, None) if whole is None else (whole.task, whole.classes)
    teachers = options.load(paths, task, labels)
    records = records_of(teachers)
    if whole is None:
        source = source.or_recorded(records)
        whole = load_whole(source)
    teacher = _fitted_to(whole, source, teachers)
    dataset, split = training_rows(whole, source, records)
    return teacher, dataset, source, split


def read_measured_data(
    source: Source,
    records: Sequence[Mapping[str, Any]],
    *,
    students: Sequence[Any],
    paths: Sequence[str] = (),
    options: TeacherOptions | None = None,
    all_rows: bool = False,
) -> tuple[Teacher | None, Dataset]:
    """Load data whose test rows are those that no model was trained on, and teachers.

    Parameters
    ----------
    source : Source
    records : sequence of dict
        What the files of the students record of their data.
    students : sequence of estimator
    paths : sequence of str
        The teachers.
    options : TeacherOptions or None
    all_rows : bool
        Whether rows that were trained on are test rows, too.

    Returns
    -------
    teacher : Teacher or None
    dataset : Dataset
    """
    from sklearn.base import is_regressor

    from softkd.rows import measured_rows

    task = "regression" if all(map(is_regressor, students)) else "classification"
    whole = None if source.data is None else load_whole(source, task)
    labels = None if whole is None else whole.classes
    teachers = (options or TeacherOptions()).load(paths, task, labels)
    records = [*records_of(teachers), *records]
    if whole is None:
        source = source.or_recorded(records)
        whole = load_whole(source, task)
    teacher = _fitted_to(whole, source, teachers) if teachers else None
    dataset = measured_rows(whole, source, records, all_rows)
    for student in students:
        refuse_missing(dataset, source, student)
    return teacher, dataset


def load_whole(source: Source, task: Any = None) -> Dataset:
    """Load data without cutting test rows off."""
    from soft_students.datasets import available_datasets, load_dataset
    from soft_students.datasets.registry import load_all_rows

    data = source.data or ""
    if data in available_datasets():
        task = None  # theirs is known
    if data in available_datasets() or source.test_data is not None:
        return load_dataset(
            data,
            data_dir=source.data_dir,
            target=source.target,
            task=task,
            test_data=source.test_data,
        )
    return load_all_rows(data, data_dir=source.data_dir, target=source.target, task=task)


def refuse_missing(dataset: Dataset, source: Source, model: Any) -> None:
    """Refuse missing values for a model that does not take them.

    Parameters
    ----------
    dataset : Dataset
    source : Source
    model : estimator, Teacher or str
        Or what the model is.
    """
    if takes_missing(model):
        return
    name = model if isinstance(model, str) else getattr(model, "name", type(model).__name__)
    names, where = dataset.feature_names, source.test_data or source.data
    try:
        check_complete(dataset.X_train, names, f"'{source.data}'", dataset.train_rows)
        check_complete(dataset.X_test, names, f"'{where}'", dataset.test_rows)
    except ValueError as error:
        raise click.ClickException(f"{error} {name} takes no missing values.") from error


def takes_missing(model: Any) -> bool:
    """Whether a model takes rows with missing values."""
    from sklearn.base import BaseEstimator
    from sklearn.utils import get_tags

    model = getattr(model, "estimator", model)  # of a teacher
    while hasattr(model, "steps"):
        model = model.steps[0][1]
    return isinstance(model, BaseEstimator) and get_tags(model).input_tags.allow_nan


def read_file_rows(student: Any, source: Source) -> tuple[Any, list[Any] | None]:
    """Load all rows of a file as a student takes them, whether it has a target or not.

    Returns
    -------
    rows : DataFrame or ndarray
    labels : list or None
        None if the file has no column of the target's name.
    """
    from soft_students.datasets import load_rows

    names = getattr(student, "feature_names_in_", None)
    frame: Any = load_rows(source.data or "")
    if not hasattr(frame, "columns"):
        return frame, None
    frame = frame.rename(columns=str)
    labels = frame[source.target].tolist() if source.target in frame else None
    columns = [name for name in frame if name != source.target] if names is None else list(names)
    rows: Any = load_rows(source.data or "", columns)
    if not takes_missing(student):
        check_complete(rows.to_numpy(), columns, f"'{source.data}'")
    return rows.to_numpy() if names is None else rows, labels


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


def import_from_here() -> None:
    """Let modules in the current folder be imported, which a console script does not do."""
    sys.path.append(os.getcwd())


def _fitted_to(dataset: Dataset, source: Source, teachers: list[Teacher]) -> Teacher:
    """Return the one teacher of data, or an ensemble of several, which knows their classes."""
    from soft_students.teachers import EnsembleTeacher

    for teacher in teachers:
        refuse_missing(dataset, source, teacher)
        _take_classes(teacher, dataset)
    return teachers[0] if len(teachers) == 1 else EnsembleTeacher(teachers)


def _take_classes(teacher: Teacher, dataset: Dataset) -> None:
    """Give the classes of the data to a classifier whose file does not name its own."""
    classes = dataset.classes
    if teacher.task != "classification" or teacher.classes_ is not None or classes is None:
        return
    if teacher.logits(dataset.X_train[:1]).shape[1] != len(classes):
        return
    teacher.classes_ = classes
    if classes.dtype.kind not in "biuf":  # numbers have an order of their own
        click.echo(
            f"Warning: The file of the teacher {teacher.name!r} does not name its classes. Its "
            f"outputs are taken as {', '.join(map(repr, classes.tolist()[:20]))}, in this order; "
            "name another by --classes A,B,...",
            err=True,
        )


def records_of(teachers: Sequence[Teacher]) -> list[dict[str, Any]]:
    """Return what teachers, and the members of ensembles, have recorded of their data."""
    from soft_students.teachers import EnsembleTeacher

    each = [
        member
        for teacher in teachers
        for member in (teacher.members if isinstance(teacher, EnsembleTeacher) else [teacher])
    ]
    return [teacher.record.data for teacher in each if teacher.record is not None]


def record_of(path: str, trust: bool = False) -> dict[str, Any]:
    """Return what a student's file records of its data; nothing if it is a pickle."""
    from soft_students.persistence import BundleError
    from soft_students.students.files import trained_on

    try:
        return trained_on(path)
    except BundleError:
        if trust:
            return {}
        raise
