"""Loads NPZ files with the arrays of a data set, without unpickling."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from soft_students.choices import listed
from soft_students.datasets.dataset import Dataset, Task
from soft_students.datasets.tabular import as_float32, build_dataset, check_finite
from soft_students.persistence.arrays import NpzArrays, open_npz


def load_npz(path: Path, *, target: str | None, task: Task | None) -> Dataset:
    """Load ``X`` and ``y``, or an official split: ``X_train``, ``y_train``, ``X_test``, ``y_test``.

    ``X``, ``y``, ``X_test`` and ``y_test`` are an official split, too. `target` replaces ``y`` in
    all these names.
    """
    name = "y" if target is None else target
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(open_npz(path))
        except ValueError as error:
            raise ValueError(f"'{path}' is not an NPZ file that can be read: {error}.") from error
        train_names, test_names = _array_names(path, archive.names, name)
        train = _pair(path, archive, *train_names)
        test = None if test_names is None else _pair(path, archive, *test_names)
    return build_dataset(
        path,
        train,
        test,
        target=train_names[1],
        feature_names=None,
        task=task,
    )


_Names = tuple[str, str]


def _array_names(path: Path, present: list[str], target: str) -> tuple[_Names, _Names | None]:
    train = ("X_train", f"{target}_train")
    plain = ("X", target)
    test = ("X_test", f"{target}_test")
    found = set(present)
    if found.issuperset(test):
        for names in (train, plain):
            if found.issuperset(names):
                return names, test
    elif found.issuperset(plain) and found.isdisjoint(test):
        return plain, None
    raise ValueError(
        f"'{path}' must hold the arrays 'X' and {target!r}, or the official split {train[0]!r}, "
        f"{train[1]!r}, {test[0]!r} and {test[1]!r} (another target: target=, on the command line "
        f"--target). It holds: {listed(present) or 'nothing'}."
    )


def _pair(
    path: Path, archive: NpzArrays, X_name: str, y_name: str
) -> tuple[np.ndarray, np.ndarray]:
    X, y = _array(path, archive, X_name), _array(path, archive, y_name)
    if X.dtype.kind not in "biuf" or X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"The array {X_name!r} of '{path}' must hold real numbers of shape (rows, features), "
            f"at least one of each. Got {X.dtype} of shape {X.shape}. Flatten images with "
            "X.reshape(len(X), -1)."
        )
    if y.dtype.kind not in "biufUS" or y.shape != X.shape[:1]:
        raise ValueError(
            f"The array {y_name!r} of '{path}' must hold one number or text for each row of "
            f"{X_name!r}, the shape {X.shape[:1]}. Got {y.dtype} of shape {y.shape}."
        )
    for i in range(X.shape[1]):
        check_finite(X[:, i], f"Column {i + 1} of the array {X_name!r} of '{path}'")
    return np.ascontiguousarray(as_float32(X, f"The array {X_name!r} of '{path}'")), y


def _array(path: Path, archive: NpzArrays, name: str) -> np.ndarray:
    try:
        return archive[name]
    except ValueError as error:
        raise ValueError(
            f"The array {name!r} of '{path}' cannot be read: {error}. Arrays of Python objects are "
            "refused, because reading them can run code: save numbers, or text as y.astype(str)."
        ) from error
