"""Rows of X as a network takes them, and which of them are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from soft_students.methods import TrainingData
from soft_students.networks import get_network
from soft_students.teachers import ArrayTeacher, Teacher


def as_training_data(
    rows: np.ndarray, codes: np.ndarray | None, shape: tuple[int, ...]
) -> TrainingData:
    """Return rows as inputs of a shape, with the number of the class of each if it is known."""
    inputs = torch.from_numpy(np.ascontiguousarray(rows)).view(-1, *shape)
    return TrainingData(inputs, None if codes is None else torch.from_numpy(codes.astype(np.int64)))


def find_shape(
    given: Sequence[int] | None, module: Any, n_features: int, teacher: Teacher | None
) -> tuple[int, ...]:
    """Return the shape of an input; see the parameter `input_shape` of the student.

    Raises
    ------
    ValueError
        If it takes another number of features.
    """
    shape = given
    if shape is None:
        shape = getattr(teacher, "input_shape", None)
    if shape is None:
        side = math.isqrt(n_features)
        images = isinstance(module, str) and get_network(module).takes_images
        shape = (1, side, side) if images and side * side == n_features else (n_features,)
    shape = three_sides(shape)
    if math.prod(shape) != n_features:
        raise ValueError(
            f"The input_shape {shape} takes {math.prod(shape)} features a row. X has {n_features}."
        )
    return shape


def three_sides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of an input, of (height, width) with a channel before it."""
    sides = tuple(int(side) for side in shape)
    if not sides or min(sides) < 1:
        raise ValueError(f"The input_shape must hold positive ints. Got {shape!r}.")
    return (1, *sides) if len(sides) == 2 else sides


def hold_out(codes: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those held out, stratified where that is possible."""
    rows = np.arange(len(codes))
    n_held_out = round(fraction * len(rows))
    counts = np.bincount(codes)
    # A few rows tell nothing about which epoch is best.
    if n_held_out < 2 or n_held_out >= len(rows) - 1:
        return rows, rows[:0]
    classes = np.count_nonzero(counts)
    stratify = codes if counts[counts > 0].min() >= 2 and n_held_out >= classes else None
    kept, held_out = train_test_split(
        rows, test_size=n_held_out, random_state=seed, stratify=stratify
    )
    return np.sort(kept), np.sort(held_out)


def teacher_of_rows(teacher: Teacher | None, rows: np.ndarray) -> Teacher | None:
    """Return the teacher of some of the rows, of one that is an array."""
    if not isinstance(teacher, ArrayTeacher):
        return teacher
    kind = teacher.kind or "probabilities"
    return ArrayTeacher(teacher._answers[rows], kind=kind, classes=teacher.classes_)
