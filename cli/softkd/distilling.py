"""The work of `softkd distill` in three steps: read, train, report."""

from __future__ import annotations

import contextlib
import io
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from sklearn.base import BaseEstimator
from torch.distributed import is_torchelastic_launched

from soft_students.comparison.distillation import Distillation, load_unlabeled, training_columns
from soft_students.comparison.distillation import distill as train_and_measure
from soft_students.datasets import Dataset
from soft_students.students.files import save
from soft_students.students.processes import check_processes, is_first_process
from soft_students.teachers import Teacher
from soft_students.transfer import TRANSFERS, ImageDistortion
from soft_students.versions import versions
from softkd.learners import class_for, configured, image_settings, use_threads
from softkd.output import (
    check_checkpoint,
    check_output,
    plain_parameters,
    print_json,
    print_table,
    result_table,
)
from softkd.reading import Source, TeacherOptions, read_training_data, refuse_missing
from softkd.rows import say_test_rows

#: Parameters of students that have an option of their own.
_PARAMETERS = {
    "depth": "depth",
    "temperature": "temperature",
    "hard_weight": "hard_weight",
    "epochs": "epochs",
    "prediction": "prediction",
    "module": "module",
    "method": "method",
    "devices": "n_devices",
    "num_nodes": "n_nodes",
}

_TITLES = {
    "student": "student: distilled",
    "labels_transfer": "labels + distorted",
    "labels": "labels alone",
}


@dataclass(frozen=True)
class Job:
    """Everything that a run needs, read and checked.

    Parameters
    ----------
    learner : estimator
        The student, not fitted.
    teacher : Teacher
    dataset : Dataset
    unlabeled : array-like or None
        Further rows for the teacher to label.
    origin : dict
        What the student's file records of its data.
    out, checkpoint : Path
    """

    learner: BaseEstimator
    teacher: Teacher
    dataset: Dataset
    unlabeled: Any
    origin: dict[str, Any]
    out: Path
    checkpoint: Path


def distill(given: SimpleNamespace) -> None:
    """Run `softkd distill` with a teacher.

    Parameters
    ----------
    given : SimpleNamespace
        The options of the command.
    """
    first = begin(given)
    job = _read(given, first)
    start = time.perf_counter()
    result = _train(job, given, first)
    if first:
        _report(job, given, result, time.perf_counter() - start)


def begin(given: SimpleNamespace) -> bool:
    """Silence all processes but the first, set threads, and check ``--out``.

    Returns
    -------
    bool
        Whether this is the first of the processes that ``torchrun`` has started.
    """
    first = is_first_process()
    if not first:
        context = click.get_current_context()
        context.with_resource(contextlib.redirect_stdout(io.StringIO()))
        context.with_resource(contextlib.redirect_stderr(io.StringIO()))
    given.threads = use_threads(given.threads)
    if given.out is not None and first:
        check_output(given.out, given.force, inputs_of(given))
    return first


def inputs_of(given: SimpleNamespace) -> list[str | os.PathLike[str]]:
    """Return the files and folders that the options name for reading."""
    source = Source(given.data, given.data_dir, given.target, given.test_data)
    more = [path for path in (given.unlabeled, given.targets) if path is not None]
    return [*given.teacher_paths, *source.files(), *more]


def output_files(given: SimpleNamespace, source: str, first: bool) -> tuple[Path, Path]:
    """Return the student's file and that of its checkpoint, both checked by the first process."""
    out = given.out
    if out is None:
        out = Path(f"{given.student}-{source}.student")
        if first:
            check_output(out, given.force, inputs_of(given))
    return out, check_checkpoint(out, given.resume, given.force or not first, inputs_of(given))


def make_learner(
    given: SimpleNamespace,
    task: str,
    presets: dict[str, Any],
    transfer: list[tuple[str, Any]],
) -> BaseEstimator:
    """Return the student to train; parameters and processes that do not fit are bad usage.

    Parameters
    ----------
    given : SimpleNamespace
        The options of the command.
    task : {"classification", "regression"}
    presets : dict
        Parameters for the data that the user did not ask for.
    transfer : list of (str, Transfer)
        The parameter of the transfer set, if the user asked for one.
    """
    cls = class_for(given.student, task)
    chosen = [
        (parameter, vars(given)[option])
        for option, parameter in _PARAMETERS.items()
        if vars(given)[option] is not None
    ]
    chosen += [*transfer, *given.settings]
    by_several = "n_devices" in cls().get_params(deep=False)
    if not by_several:
        _check_one_process(given.student, {name for name, _ in chosen})
    learner = configured(cls, {"random_state": given.seed, "verbose": 1, **presets}, chosen)
    if by_several:
        try:
            check_processes(learner)
        except ValueError as error:
            raise click.UsageError(f"{error} (--devices, --num-nodes)") from error
    return learner


def _check_one_process(student: str, chosen: set[str]) -> None:
    if {"n_devices", "n_nodes"} & chosen:
        raise click.UsageError(
            "--devices and --num-nodes are for students that several processes train, such as "
            f"soft_tree. Got --student {student}."
        )
    if is_torchelastic_launched() and os.environ["WORLD_SIZE"] != "1":
        raise click.UsageError(
            f"torchrun has started {os.environ['WORLD_SIZE']} processes, and --student "
            f"{student} is trained by one. Run it without torchrun."
        )


def _read(given: SimpleNamespace, first: bool) -> Job:
    options = TeacherOptions(given.arch, given.input_shape, given.trust, given.classes, given.kind)
    source = Source(given.data, given.data_dir, given.target, given.test_data)
    teacher, dataset, source, split = read_training_data(given.teacher_paths, source, options)
    presets = image_settings(given.student, dataset, len(dataset.X_train))
    transfer = _chosen_transfer(given, presets, dataset.image_shape)
    learner = make_learner(given, teacher.task, presets, transfer)
    refuse_missing(dataset, source, learner)
    out, checkpoint = output_files(given, Path(dataset.name).stem, first)
    if first:
        check_output(out, True, source.files())  # those that the teacher's file records, too
    columns, unlabeled = training_columns(teacher, dataset), None
    if given.unlabeled is not None:
        unlabeled = load_unlabeled(given.unlabeled, teacher, dataset)
        say_test_rows(unlabeled, dataset, columns, given.unlabeled)
    origin = source.describe(dataset, split=split, columns=columns, unlabeled=unlabeled)
    return Job(learner, teacher, dataset, unlabeled, origin, out, checkpoint)


def _chosen_transfer(
    given: SimpleNamespace, presets: dict[str, Any], image_shape: tuple[int, ...] | None
) -> list[tuple[str, Any]]:
    """Return the parameter for the transfer set of the options.

    All but ``auto`` replaces the presets.
    """
    name, settings = given.transfer, given.transfer_settings
    parameter = "transfer"
    if name != "auto":
        presets |= {"transfer": None, "augment": None}
    elif settings:
        for preset in ("transfer", "augment"):  # images distorted once, or in every batch
            if isinstance(presets.get(preset), ImageDistortion):
                name, parameter = "image", preset
    if name in TRANSFERS:
        return [(parameter, configured(TRANSFERS[name], {"image_shape": image_shape}, settings))]
    if settings:
        raise click.UsageError(
            f"--transfer-set needs a transfer set: --transfer {'|'.join(TRANSFERS)}."
        )
    return []


def _train(job: Job, given: SimpleNamespace, first: bool) -> Distillation:
    """Train the student and the baselines; write the student as soon as it is trained."""

    def keep(trained: BaseEstimator) -> None:
        if not first:
            return
        write_student(trained, job.out, given.force, job.origin)
        click.echo(f"Written: {job.out}", err=True)
        if given.baseline:
            click.echo(
                "Now the same student from labels alone, to compare (not with --no-baseline).",
                err=True,
            )

    return train_and_measure(
        job.learner,
        job.teacher,
        job.dataset,
        unlabeled=job.unlabeled,
        baselines=given.baseline,
        on_student=keep,
        checkpoint=job.checkpoint,
        resume=given.resume,
        measure=first,
    )


def write_student(student: BaseEstimator, out: Path, force: bool, origin: dict[str, Any]) -> None:
    """Write a student that later prints no progress, with a record of its data."""
    if "verbose" in student.get_params(deep=False):
        student.set_params(verbose=0)
    save(student, out, overwrite=force, data=origin)


def _report(job: Job, given: SimpleNamespace, result: Distillation, seconds: float) -> None:
    if given.as_json:
        unlabeled = job.unlabeled
        if unlabeled is not None:
            unlabeled = {"file": given.unlabeled, "rows": len(unlabeled)}
        print_json(
            {
                **result.rows["student"],
                "accuracy_by_prediction": result.accuracy_by_prediction,
                **{name: row for name, row in result.rows.items() if name != "student"},
                "student": given.student,
                "data": job.dataset.name,
                "out": str(job.out),
                "parameters": plain_parameters(result.student),
                "chosen": _chosen_settings(result.student),
                "seconds": {**result.seconds, "total": seconds},
                "threads": given.threads,
                "seed": given.seed,
                "unlabeled": unlabeled,
                "versions": versions(),
            }
        )
        return
    titles = {"teacher": f"teacher: {job.teacher.name}", **_TITLES}
    rows = {
        titles[name]: {**row, "seconds": result.seconds.get(name)}
        for name, row in result.rows.items()
    }
    print_table(result_table(f"{job.dataset.name}: {len(job.dataset.X_test)} test rows", rows))
    chosen = _chosen_settings(result.student)
    if chosen:
        each = (f"{name.replace('_', ' ')} {value:g}" for name, value in chosen.items())
        click.echo(f"Chosen on held-out training rows: {', '.join(each)}")
    if result.accuracy_by_prediction:
        by_prediction = result.accuracy_by_prediction.items()
        each = (f"{name.replace('_', ' ')} {value:.2%}" for name, value in by_prediction)
        click.echo(f"Accuracy of the student by {', '.join(each)}")


def _chosen_settings(student: BaseEstimator) -> dict[str, float]:
    """Return the values that a fitted student chose for its parameters that are ``"auto"``."""
    chosen = {}
    for name in ("temperature", "hard_weight"):
        if student.get_params(deep=False).get(name) == "auto":
            chosen[name] = vars(student)[f"{name}_"]
    return chosen
