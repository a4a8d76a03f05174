"""Labelling of one part, as run by a worker. Imports torch only with the teacher."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from soft_students.datasets import check_complete
from soft_students.datasets.tabular import as_float32
from soft_students.labelled.parts import LabelledPart
from soft_students.labelled.sources import identity, open_source
from soft_students.persistence import atomic_write
from soft_students.persistence.digests import file_sha256

if TYPE_CHECKING:
    from soft_students.teachers import Teacher

#: Most rows, and values (16 MB of float32), that are read and labelled at a time.
_BATCH_ROWS, _BATCH_VALUES = 2**13, 2**22


@dataclass(frozen=True)
class TeacherFile:
    """A teacher's file with the options of :func:`~soft_students.teachers.load_teacher`.

    Parameters
    ----------
    path : str
        Path of the file, the same for all workers.
    arch : str, default=None
    input_shape : tuple of int, default=None
    trust : bool, default=False
    classes : tuple of labels, default=None
    kind : {"logits", "probabilities"}, default=None
    """

    path: str
    arch: str | None = None
    input_shape: tuple[int, ...] | None = None
    trust: bool = False
    classes: tuple[Any, ...] | None = None
    kind: str | None = None

    def load(self) -> Teacher:
        """Read the teacher."""
        from soft_students.teachers import load_teacher

        return load_teacher(
            self.path,
            arch=self.arch,
            input_shape=self.input_shape,
            trust=self.trust,
            classes=self.classes,
            kind=self.kind,
        )


@dataclass(frozen=True)
class Assignment:
    """Teacher and settings of all parts of a run.

    Parameters
    ----------
    teacher : TeacherFile
    teacher_sha256 : str
        Checksum of the teacher's file.
    settings_sha256 : str
        Checksum of the settings in the manifest.
    """

    teacher: TeacherFile
    teacher_sha256: str
    settings_sha256: str


#: The teacher of this process: read once, instead of sent with each part.
_kept: dict[tuple[TeacherFile, str], Teacher] = {}
#: One thread of a worker labels at a time: they share the teacher and the memory.
_lock = threading.Lock()


def label_part(part: LabelledPart, assignment: Assignment) -> dict[str, str]:
    """Label one part: write its targets, then its record.

    The bytes do not depend on the worker: every part is read in the same batches and computed on
    one thread.

    Parameters
    ----------
    part : LabelledPart
    assignment : Assignment

    Returns
    -------
    dict of str to str
        The teacher's first warning of each category.

    Raises
    ------
    ValueError
        If the rows or the teacher's outputs are invalid.
    OSError
        If a file cannot be read or written.
    """
    record_path = Path(part.path).with_suffix(".json")
    with _lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        teacher = _teacher_of(assignment)
        before = identity(part.source)
        os.makedirs(os.path.dirname(part.path), exist_ok=True)
        with _one_thread():
            digest = _write_targets(part, teacher)
        if identity(part.source) != before:
            raise ValueError(f"'{part.source}' changed while it was read. Run the command again.")
    record = {
        "rows": [part.start, part.stop],
        "settings": assignment.settings_sha256,
        "sha256": digest,
        "source": before,
    }
    with atomic_write(record_path) as file:
        file.write(json.dumps(record).encode())
    return {
        warning.category.__name__: str(warning.message)
        for warning in reversed(caught)
        if issubclass(warning.category, UserWarning)
    }


def is_done(part: LabelledPart, assignment: Assignment) -> bool:
    """Return whether a part is labelled: with the same rows and settings, and intact.

    Parameters
    ----------
    part : LabelledPart
    assignment : Assignment
    """
    record = part.record()
    return (
        record is not None
        and record.get("rows") == [part.start, part.stop]
        and record.get("settings") == assignment.settings_sha256
        and record.get("source") == identity(part.source)
        and part.is_intact()
    )


def _teacher_of(assignment: Assignment) -> Teacher:
    key = (assignment.teacher, assignment.teacher_sha256)
    if key not in _kept:
        _kept.clear()
        found = file_sha256(assignment.teacher.path)
        if found != assignment.teacher_sha256:
            raise ValueError(
                f"The teacher file '{assignment.teacher.path}' of this worker differs from the one "
                f"where labelling was started (sha256 {found[:12]}, not "
                f"{assignment.teacher_sha256[:12]}). Copy the same file to all machines."
            )
        _kept[key] = assignment.teacher.load()
    return _kept[key]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    from soft_students.threads import torch_threads

    with torch_threads(1), threadpool_limits(1):
        yield


def _write_targets(part: LabelledPart, teacher: Teacher) -> str:
    """Write the NPY file of the targets batch by batch, and return its checksum."""
    source = open_source(part.source)
    width = source.n_columns if part.columns is None else len(part.columns)
    rows = max(1, min(_BATCH_ROWS, _BATCH_VALUES // max(1, width)))
    digest = hashlib.sha256()
    n_outputs, done = 0, 0
    with atomic_write(part.path) as file:
        for X in source.batches(part.start, part.stop, rows, part.columns):
            at = f"'{part.source}' (rows {part.start + done} to {part.start + done + len(X) - 1})"
            check_complete(X, part.columns, at, part.start + done + np.arange(len(X)))
            try:
                targets = as_float32(_outputs(teacher, X, part), f"The teacher's output for {at}")
            except ValueError as error:
                raise ValueError(f"{at}: {error}") from error
            if not done:
                n_outputs = targets.shape[1]
                header = {
                    "descr": "<f4",
                    "fortran_order": False,
                    "shape": (part.n_rows, n_outputs),
                }
                np.lib.format.write_array_header_1_0(file, header)
                file.seek(0)
                digest.update(file.read())
            content = np.ascontiguousarray(targets, dtype="<f4").data
            digest.update(content)
            file.write(content)
            done += len(X)
        if done != part.n_rows:
            raise ValueError(
                f"'{part.source}' ended after {part.start + done} of {part.stop} rows: it has "
                "changed. Run the command again."
            )
    return digest.hexdigest()


def _outputs(teacher: Teacher, X: Any, part: LabelledPart) -> np.ndarray:
    if part.columns is not None and teacher.feature_names_in_ is not None:
        import pandas as pd

        X = pd.DataFrame(X, columns=list(part.columns))
    if part.kind == "values":
        values = teacher.predict(X)
        return values if values.ndim == 2 else values[:, np.newaxis]
    if part.kind == "logits":
        return teacher.logits(X)
    return teacher.predict_proba(X, part.temperature or 1.0)
