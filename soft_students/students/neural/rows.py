"""Conversion of X to the inputs of a network, and the split of held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split

from soft_students.methods import TrainingData
from soft_students.networks.shapes import shape_of_rows
from soft_students.networks.zoo import get_network
from soft_students.students.missing import validate_rows
from soft_students.teachers import ArrayTeacher, Teacher


def checked_rows(student: BaseEstimator, X: Any, *, reset: bool) -> np.ndarray:
    """Return rows as an array of float32, of shape (n_samples, n_features)."""
    shape = getattr(X, "shape", ())
    if len(shape) > 2:
        raise ValueError(
            f"X must have one row per sample. Got an array of shape {tuple(shape)}. Pass "
            f"X.reshape(len(X), -1), and input_shape={tuple(shape[1:])} to "
            f"{type(student).__name__}."
        )
    return validate_rows(student, X, reset=reset, dtype=np.float32)


def as_training_data(
    rows: np.ndarray,
    codes: np.ndarray | None,
    shape: tuple[int, ...],
    weights: np.ndarray | None = None,
) -> TrainingData:
    """Return rows reshaped to inputs, with their classes and weights if given."""
    return TrainingData(
        torch.from_numpy(np.ascontiguousarray(rows)).view(-1, *shape),
        None if codes is None else torch.from_numpy(codes.astype(np.int64)),
        None if weights is None else torch.from_numpy(weights),
    )


def find_shape(
    given: Sequence[int] | None, module: Any, n_features: int, teacher: Teacher | None
) -> tuple[int, ...]:
    """Return the shape of an input; see `input_shape` of `NeuralStudentClassifier`."""
    if given is None:
        given = getattr(teacher, "input_shape", None)
    images = isinstance(module, str) and get_network(module).takes_images
    return shape_of_rows(given, n_features, takes_images=images)


def hold_out(codes: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of training rows and held-out rows, stratified if possible."""
    rows = np.arange(len(codes))
    n_held_out = round(fraction * len(rows))
    counts = np.bincount(codes)
    # A single row is too few to choose an epoch.
    if n_held_out < 2 or n_held_out >= len(rows) - 1:
        return rows, rows[:0]
    classes = np.count_nonzero(counts)
    stratify = codes if counts[counts > 0].min() >= 2 and n_held_out >= classes else None
    kept, held_out = train_test_split(
        rows, test_size=n_held_out, random_state=seed, stratify=stratify
    )
    return np.sort(kept), np.sort(held_out)


def teacher_of_rows(teacher: Teacher | None, rows: np.ndarray) -> Teacher | None:
    """Return the teacher; an `ArrayTeacher` is restricted to the given rows."""
    if not isinstance(teacher, ArrayTeacher):
        return teacher
    kind = teacher.kind or "probabilities"
    return ArrayTeacher(teacher._answers[rows], kind=kind, classes=teacher.classes_)
