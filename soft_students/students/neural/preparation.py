"""Conversion of the arguments of a neural student's fit to a `NetworkTraining`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from soft_students.labelled.parts import LabelledParts
from soft_students.methods import Combination
from soft_students.networks.shapes import three_sides
from soft_students.students.copies import in_the_form_of, taught_copies
from soft_students.students.neural.method_choice import choose_method
from soft_students.students.neural.network_training import NetworkTraining
from soft_students.students.neural.rows import (
    as_training_data,
    checked_rows,
    find_shape,
    hold_out,
    teacher_of_rows,
)
from soft_students.students.neural.streamed_parts import (
    StreamedParts,
    check_methods,
    teacher_of,
)
from soft_students.students.part_supervision import PartSupervision, check_parts
from soft_students.students.supervision import ClassSupervision, check_weights, class_supervision
from soft_students.students.tuning import check_chosen, class_settings
from soft_students.teachers import TorchTeacher, as_teacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.training.optimization import OptimizerSettings


@dataclass
class _Examples:
    """Training rows with their classes, the teacher's logits and weights."""

    X: np.ndarray
    codes: np.ndarray  # true class, or the teacher's class without labels
    logits: np.ndarray | None
    weights: np.ndarray | None

    def take(self, rows: np.ndarray) -> _Examples:
        logits = None if self.logits is None else self.logits[rows]
        weights = None if self.weights is None else self.weights[rows]
        return _Examples(self.X[rows], self.codes[rows], logits, weights)

    def extended(self, *others: _Examples) -> _Examples:
        tables = (self, *others)
        weights = None
        if self.weights is not None:
            weights = np.concatenate([table.weights for table in tables])
        return _Examples(
            np.concatenate([table.X for table in tables]),
            np.concatenate([table.codes for table in tables]),
            None if self.logits is None else np.concatenate([table.logits for table in tables]),
            weights,
        )


def from_rows(
    student: Any,
    X: Any,
    y: Any,
    *,
    labels: ArrayLike | None,
    teacher: Any,
    sample_weight: ArrayLike | str | None,
    X_unlabeled: ArrayLike | None,
) -> NetworkTraining:
    """Return the training of a student on rows in memory.

    Parameters
    ----------
    student : NeuralStudentClassifier
        Student; its classes and features are set here.
    X, y, labels, teacher, sample_weight, X_unlabeled
        See `NeuralStudentClassifier.fit`.
    """
    rows = checked_rows(student, X, reset=True)
    shown = X if hasattr(X, "columns") else rows
    lesson = class_supervision(student, shown, y, labels, teacher, student.hard_weight)
    _set_classes(student, lesson.classes)
    sample_weight = lesson.row_weights(sample_weight)
    weights = check_weights(sample_weight, rows)
    temperature, hard_weight = class_settings(student, shown, lesson, sample_weight)
    method = choose_method(student, temperature=temperature, hard_weight=hard_weight)
    has_labels = lesson.labels is not None
    method = _teachable(student, method, lesson.teacher is not None, has_labels)
    shape = find_shape(student.input_shape, student.module, rows.shape[1], lesson.teacher)
    seed = _seed(student)
    examples = _Examples(rows, _codes(lesson), lesson.logits, weights)
    used = np.arange(len(rows)) if weights is None else np.flatnonzero(weights)
    kept, held_out = hold_out(examples.codes[used], student.validation_fraction, seed)
    validation = None
    if len(held_out):
        measured = examples.take(used[held_out])
        validation = as_training_data(measured.X, measured.codes, shape, measured.weights)
    examples = examples.take(used[kept])
    n_labelled = len(kept)
    if X_unlabeled is not None:
        more = checked_rows(student, X_unlabeled, reset=False)
        said = lesson.logits_of(X_unlabeled if hasattr(X_unlabeled, "columns") else more)
        ones = None if weights is None else np.ones(len(more))
        examples = examples.extended(_Examples(more, said.argmax(axis=1), said, ones))
    if student.transfer is not None:
        examples = examples.extended(*_copies(student, examples, n_labelled, lesson, X, seed))
    weights = examples.weights
    if weights is not None and weights.min() == weights.max():
        weights = None
    rows = examples.X
    return NetworkTraining(
        method=method,
        teacher=teacher_of_rows(lesson.teacher, used[kept]),
        logits=examples.logits,
        data=as_training_data(rows, examples.codes if has_labels else None, shape, weights),
        validation=validation,
        preprocess=Standardize.fit(rows, shape) if student.standardize else None,
        input_shape=shape,
        input_range=(float(rows.min()), float(rows.max())),
        seed=seed,
        **_parameters(student),
    )


def from_parts(student: Any, parts: LabelledParts, y: Any, teacher: Any) -> NetworkTraining:
    """Return the training of a student on labelled parts.

    Parameters
    ----------
    student : NeuralStudentClassifier
        Student; its classes and features are set here.
    parts : LabelledParts
    y, teacher : object
        See `NeuralStudentClassifier.fit`.
    """
    check_parts(student, parts, "classification")
    check_chosen(student, "temperature", "hard_weight", where="fit on labelled parts")
    if student.transfer is not None:
        raise ValueError(
            f"transfer={student.transfer!r} makes rows from rows in memory, but labelled parts are "
            "read a window at a time. Set transfer=None, or label such rows as well."
        )
    _set_classes(student, PartSupervision.of(parts).classes)
    known = teacher_of(student, parts, y, teacher)
    method = _teachable(student, choose_method(student), True, parts.target is not None)
    check_methods(student, method, known)
    student.n_features_in_ = parts.n_features
    student.__dict__.pop("feature_names_in_", None)
    if parts.columns is not None:
        student.feature_names_in_ = np.asarray(parts.columns, dtype=object)
    shape = find_shape(student.input_shape, student.module, parts.n_features, known)
    seed = _seed(student)
    rows = StreamedParts(
        parts,
        shape,
        held_out_fraction=student.validation_fraction,
        seed=seed,
        labels=parts.target is not None or student.hard_weight > 0,
    )
    preprocess, input_range = rows.measure()
    return NetworkTraining(
        method=method,
        teacher=known,
        logits=None,
        data=rows,
        validation=rows.held_out(),
        preprocess=preprocess if student.standardize else None,
        input_shape=shape,
        input_range=input_range,
        seed=seed,
        **_parameters(student),
    )


def without_rows(student: Any, teacher: Any) -> NetworkTraining:
    """Return the training of a student by a method that makes its own inputs.

    Parameters
    ----------
    student : NeuralStudentClassifier
        Student; its classes and features are set here.
    teacher : object
        See `NeuralStudentClassifier.fit`.
    """
    method = choose_method(student)
    wanting = [part.key for part in method.methods if "data" in part.needs]
    if wanting or not method.methods:
        raise ValueError(
            f"{type(student).__name__}.fit got no X, which the method "
            f"{', '.join(map(repr, wanting)) or 'without a teacher'} needs. Pass rows, or use "
            "a method that takes no data, such as 'dafl'."
        )
    if teacher is None:
        raise ValueError("fit without X needs a teacher. Pass fit(None, teacher).")
    teacher = as_teacher(teacher)
    shape = student.input_shape or getattr(teacher, "input_shape", None)
    if not isinstance(teacher, TorchTeacher) or shape is None:
        raise ValueError(
            "fit without X needs a teacher that is a PyTorch module with a known input shape. "
            f"Got {teacher!r}. Pass as_teacher(module, input_shape=...)."
        )
    shape = three_sides(shape)
    low = 0.0 if teacher.input_range_ is None else teacher.input_range_[0]
    said = teacher.logits(np.full((2, math.prod(shape)), low, dtype=np.float32))
    student.classes_ = (
        np.arange(said.shape[1]) if teacher.classes_ is None else np.asarray(teacher.classes_)
    )
    student.n_features_in_ = math.prod(shape)
    preprocess = teacher.preprocess if isinstance(teacher.preprocess, Standardize) else None
    return NetworkTraining(
        method=method,
        teacher=teacher,
        logits=None,
        data=None,
        validation=None,
        preprocess=preprocess if student.standardize else None,
        input_shape=shape,
        input_range=teacher.input_range_ or (0.0, 1.0),
        seed=_seed(student),
        **_parameters(student),
    )


def _copies(
    student: Any,
    examples: _Examples,
    n_labelled: int,
    lesson: ClassSupervision,
    X: Any,
    seed: int,
) -> Iterator[_Examples]:
    """Yield the rows made by the student's transfer set."""
    ask = None if lesson.teacher is None else lambda made, _: lesson.logits_of(made)
    targets = examples.codes[:, None] if examples.logits is None else examples.logits
    for made, told in taught_copies(
        student,
        examples.X,
        targets,
        np.arange(n_labelled),
        in_the_form_of(X, ask),
        RandomState(seed),
    ):
        codes = told[:, 0] if ask is None else told.argmax(axis=1)
        if student.transfer.keeps_labels:
            codes[:n_labelled] = examples.codes[:n_labelled]
        yield _Examples(
            made.astype(np.float32, copy=False),
            codes,
            None if ask is None else told,
            examples.weights,
        )


def _codes(lesson: ClassSupervision) -> np.ndarray:
    """Return the column of each row's true class, or, without labels, of the teacher's class."""
    if lesson.labels is not None:
        return lesson.labels
    assert lesson.logits is not None
    return lesson.logits.argmax(axis=1)


def _set_classes(student: Any, classes: np.ndarray) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"{type(student).__name__} needs at least two classes, got 1 class: {classes[0]!r}."
        )
    student.classes_ = classes


def _teachable(
    student: Any, method: Combination, has_teacher: bool, has_labels: bool
) -> Combination:
    """Return the usable methods: all, or without a teacher, those that need none."""
    methods = list(method.methods)
    if not has_teacher:
        methods = [part for part in methods if not {"teacher", "network"} & part.needs]
    if not has_labels:
        for part in methods:
            if "labels" in part.needs:
                raise ValueError(
                    f"The method {part.key!r} needs true labels, but {type(student).__name__}.fit "
                    "got none. Pass fit(X, y), or fit(X, teacher, labels=y)."
                )
    return Combination(methods)


def _seed(student: Any) -> int:
    return int(check_random_state(student.random_state).randint(np.iinfo(np.int32).max))


def _parameters(student: Any) -> dict[str, Any]:
    """Return the fields of `NetworkTraining` that come from the student's parameters."""
    return {
        "module": student.module,
        "n_classes": len(student.classes_),
        "epochs": int(student.epochs),
        "batch_size": int(student.batch_size),
        "cache_bytes": int(student.teacher_cache),
        "verbose": int(student.verbose),
        "n_jobs": student.n_jobs,
        "settings": OptimizerSettings(
            student.optimizer,
            float(student.learning_rate),
            float(student.weight_decay),
            float(student.momentum),
            student.schedule,
        ),
        "augment": student.augment,
        "checkpoint": None if student.checkpoint is None else os.fspath(student.checkpoint),
        "resume": student.resume,
        "snapshots": None,
    }
