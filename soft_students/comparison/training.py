"""Trains several students at once, and stores each as soon as it is trained."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone

from soft_students.evaluation.cost import n_threads
from soft_students.persistence.digests import file_sha256
from soft_students.persistence.plain_json import write_json
from soft_students.resumable import run_missing
from soft_students.students.files import save
from soft_students.teachers import Teacher
from soft_students.versions import versions

_TEACHER_ROWS = 256  # rows whose predictions identify a teacher


@dataclass(frozen=True)
class TrainingResult:
    """Record of the training of one student, or of its failure.

    Parameters
    ----------
    name : str
    fingerprint : str
        Digest of everything that determines the trained student: settings, teacher, rows.
    error : str or None
        Error message in one line, if the training failed.
    file : str or None
        Name of the bundle in the folder.
    sha256 : str or None
        Digest of the bundle.
    student_class : str
    parameters : dict
        Plain values; other values as text.
    seconds, cpu_seconds : float
        Wall-clock and processor time.
    threads : int
        Threads allowed to the process.
    warnings : list of str
    versions : dict of str to str
    resumed : bool
        Whether an earlier call trained the student.
    """

    name: str
    fingerprint: str
    error: str | None = None
    file: str | None = None
    sha256: str | None = None
    student_class: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    threads: int = 1
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    resumed: bool = False


def train_students(
    students: Mapping[str, BaseEstimator],
    teacher: Teacher,
    X: Any,
    y: np.ndarray,
    folder: str | os.PathLike[str],
    *,
    jobs: int = 1,
    teacher_digest: str | None = None,
    origin: Mapping[str, Any] | None = None,
    on_trained: Callable[[TrainingResult], object] | None = None,
) -> dict[str, TrainingResult]:
    """Train students on a teacher and save them in a folder, unless it contains them already.

    Parameters
    ----------
    students : dict of str to estimator
        Students of this package; clones are fitted. The keys become names of files.
    teacher : Teacher
    X : array-like or DataFrame of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        True labels or values.
    folder : path-like
        Existing folder.
    jobs : int, default=1
        Number of students trained at once. With 1, they are trained in this process; with more, in
        processes started by joblib, which share the threads allowed to this one.
    teacher_digest : str, default=None
        Digest that identifies the teacher, such as the SHA-256 of its file. None: computed from its
        predictions.
    origin : dict, default=None
        Description of the data for the bundles, see `soft_students.save`.
    on_trained : callable, default=None
        Called with each `TrainingResult` when it ends.

    Returns
    -------
    dict of str to TrainingResult
        In the order of `students`. A student that fails, or whose process dies, does not affect
        the others.

    Raises
    ------
    ValueError
        If the number of jobs is not positive.
    TypeError
        If a teacher cannot be sent to other processes.
    """
    if jobs < 1:
        raise ValueError(f"The number of jobs must be at least 1. Got {jobs}.")
    folder = Path(folder)
    known = teacher_digest or _digest_of(teacher, X)
    rows = joblib.hash([np.asarray(X), y])
    prints = {name: fingerprint(student, known, rows) for name, student in students.items()}
    run = partial(_train, students, teacher, X, y, folder, dict(origin or {}))
    outcomes = run_missing(
        prints,
        partial(_earlier, folder),
        run,
        n_jobs=jobs,
        threads=n_threads(),
        died=lambda name: TrainingResult(
            name, prints[name], error="its process died: out of memory, or a crash in a library"
        ),
    )
    found = {}
    for name, training in _sent(outcomes):
        found[name] = training
        if on_trained is not None:
            on_trained(training)
    return {name: found[name] for name in students}


def _sent(outcomes: Iterator[tuple[str, TrainingResult]]) -> Iterator[tuple[str, TrainingResult]]:
    try:
        yield from outcomes
    except (pickle.PicklingError, TypeError) as error:
        raise TypeError(
            f"The teacher or a student cannot be sent to another process: {error}. Train one at a "
            "time: jobs=1."
        ) from error


def _train(
    students: Mapping[str, BaseEstimator],
    teacher: Teacher,
    X: Any,
    y: np.ndarray,
    folder: Path,
    origin: dict[str, Any],
    name: str,
    fingerprint: str,
) -> TrainingResult:
    student = students[name]
    about: dict[str, Any] = {
        "name": name,
        "fingerprint": fingerprint,
        "student_class": type(student).__name__,
    }
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            fitted = clone(student).fit(X, teacher, labels=y)
        path = save(fitted, folder / f"{name}.student", data=origin)
        training = TrainingResult(
            **about,
            file=path.name,
            sha256=file_sha256(path),
            parameters=_plain(student.get_params(deep=False)),
            seconds=time.perf_counter() - start,
            cpu_seconds=time.process_time() - cpu_start,
            threads=n_threads(),
            warnings=list(dict.fromkeys(_one_line(warning.message) for warning in caught)),
            versions=versions(),
        )
        write_json(folder / f"{name}.json", asdict(training))
    except Exception as error:
        return TrainingResult(**about, error=f"{type(error).__name__}: {_one_line(error)}")
    return training


def fingerprint(student: BaseEstimator, teacher_digest: str, rows_digest: str) -> str:
    """Return a digest of everything that determines a trained student.

    Parameters
    ----------
    student : estimator
        Its class and parameters enter the digest, with those of nested estimators.
    teacher_digest, rows_digest : str

    Returns
    -------
    str
    """
    parameters = {
        name: type(value).__qualname__ if hasattr(value, "get_params") else joblib.hash(value)
        for name, value in sorted(student.get_params(deep=True).items())
    }
    content = [type(student).__qualname__, parameters, teacher_digest, rows_digest]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _earlier(folder: Path, name: str, fingerprint: str) -> TrainingResult | None:
    """Return the record of an earlier call, if complete and with the same fingerprint."""
    try:
        held = json.loads((folder / f"{name}.json").read_text("utf-8"))
        training = TrainingResult(**{**held, "resumed": True})
        if training.fingerprint != fingerprint or training.file != f"{name}.student":
            return None
        return training if file_sha256(folder / training.file) == training.sha256 else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _digest_of(teacher: Teacher, X: Any) -> str:
    ask = teacher.predict_proba if teacher.task == "classification" else teacher.predict
    return joblib.hash(np.asarray(ask(X[:_TEACHER_ROWS])))


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    kinds = (int, float, str, type(None))
    return {
        name: value if isinstance(value, kinds) else " ".join(repr(value).split())
        for name, value in parameters.items()
    }


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
