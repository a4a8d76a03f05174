"""Builds a checked data set from the arrays of CSV, Parquet and NPZ files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from soft_students.choices import listed
from soft_students.datasets.dataset import Dataset, Task
from soft_students.datasets.splitting import part_size, stratify_on

#: Part of a table to test on.
TEST_SIZE = 0.25

#: Maximum number of distinct whole numbers that count as labels; with more they are values.
_MAX_INTEGER_CLASSES = 100


def build_dataset(
    path: Path,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None,
    *,
    target: str,
    feature_names: list[str] | None,
    task: Task | None,
) -> Dataset:
    """Return the data set of a file's arrays; without `test`, all rows are training rows."""
    X, y = train
    train_rows = None
    if test is None:
        y_train, task = _as_target(y, task, f"The target {target!r} of '{path}'")
        X_train, X_test, y_test = X, X[:0], y_train[:0]
        train_rows = np.arange(len(X))
    else:
        if X.shape[1] != test[0].shape[1]:
            raise ValueError(
                f"The training and test rows of '{path}' must have equally many features. Got "
                f"{X.shape[1]} and {test[0].shape[1]}."
            )
        X_train, X_test = X, test[0]
        both, task = _as_target(
            np.concatenate([y, test[1]]), task, f"The target {target!r} of '{path}'"
        )
        y_train, y_test = both[: len(y)], both[len(y) :]
    return Dataset(
        name=path.name,
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        classes=np.unique(np.concatenate([y_train, y_test])) if task == "classification" else None,
        feature_names=feature_names,
        image_shape=None,
        source=f"'{path}', target {target!r}",
        task=task,
        train_rows=train_rows,
        test_rows=None if train_rows is None else train_rows[:0],
    )


def split_rows(
    whole: Dataset, test_size: float = TEST_SIZE, random_state: int | None = 0
) -> Dataset:
    """Return a data set whose test rows are cut off its training rows, all rows of a file."""
    y = whole.y_train
    if len(y) < 2:
        raise ValueError(
            f"{whole.name!r} must hold at least 2 rows, one to train and one to test on. Got "
            f"{len(y)}."
        )
    n_test = part_size(len(y), test_size, "'test_size' parameter of load_dataset")
    train, test = train_test_split(
        np.arange(len(y)),
        test_size=n_test,
        random_state=random_state,
        stratify=stratify_on(y, n_test),
    )
    return take_rows(whole, train, test)


def take_rows(whole: Dataset, train: np.ndarray, test: np.ndarray) -> Dataset:
    """Return a data set of chosen rows of a file, all of which are the training rows of `whole`.

    Parameters
    ----------
    whole : Dataset
    train, test : ndarray of int
        Numbers of the rows.
    """
    return replace(
        whole,
        X_train=np.ascontiguousarray(whole.X_train[train]),
        y_train=whole.y_train[train],
        X_test=np.ascontiguousarray(whole.X_train[test]),
        y_test=whole.y_train[test],
        train_rows=train,
        test_rows=test,
    )


def with_test_data(whole: Dataset, other: Dataset) -> Dataset:
    """Return a data set that is trained on all rows of one file and tested on all of another.

    Parameters
    ----------
    whole, other : Dataset
        All their rows are training rows.

    Raises
    ------
    ValueError
        If columns are missing or targets are of two kinds.
    """
    if whole.feature_names is not None:
        other = other.select(whole.feature_names)
    elif whole.X_train.shape[1] != other.X_train.shape[1]:
        raise ValueError(
            f"{other.name!r} must have the {whole.X_train.shape[1]} features of {whole.name!r}. "
            f"It has {other.X_train.shape[1]}."
        )
    y, y_test = whole.y_train, other.y_train
    kinds = {{"U": "text", "S": "text", "b": "truth"}.get(each.dtype.kind) for each in (y, y_test)}
    if whole.task != other.task or len(kinds) > 1:
        raise ValueError(
            f"The targets of {whole.name!r} and {other.name!r} must be of one kind. Got {y[0]!r} "
            f"in the one and {y_test[0]!r} in the other."
        )
    return replace(
        whole,
        X_test=other.X_train,
        y_test=y_test,
        classes=None if whole.classes is None else np.unique(np.concatenate([y, y_test])),
        source=f"{whole.source}, and {other.source} to test on",
        test_rows=other.train_rows,
    )


def _as_target(y: np.ndarray, task: Task | None, what: str) -> tuple[np.ndarray, Task]:
    """Return the target and its task: text, booleans and few whole numbers are labels."""
    if y.dtype.kind in "USb":
        if task == "regression":
            raise ValueError(f"{what} must hold numbers for a regression. Got {y[0]!r}.")
        return y, "classification"
    if not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(
            f"{what} must be finite. Got {y[row]} in row {row + 1}. Remove or complete such rows."
        )
    # Beyond 2**53, float64 cannot represent every whole number.
    whole = bool(np.all((y == np.rint(y)) & (np.abs(y.astype(np.float64)) < 2**53)))
    if task is None:
        few = whole and len(np.unique(y)) <= _MAX_INTEGER_CLASSES
        task = "classification" if few else "regression"
    if task == "regression":
        return y.astype(np.float64), task
    if not whole:
        raise ValueError(
            f"{what} must hold text, booleans or whole numbers for a classification. Got "
            "fractions. Choose task='regression' or round them."
        )
    return y.astype(np.int64), task


def as_float32(values: np.ndarray, what: str) -> np.ndarray:
    """Convert real numbers to float32; raise ValueError on overflow. NaN stays."""
    with np.errstate(over="ignore"):
        converted = values.astype(np.float32)
    if np.any(np.isinf(converted) & np.isfinite(values)):
        raise ValueError(f"{what} has values beyond the range of float32 (3.4e38). Scale it.")
    return converted


def check_finite(column: np.ndarray, what: str) -> None:
    """Refuse infinite values of a column; NaN stays.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
    what : str
        The column and its file, for the message.

    Raises
    ------
    ValueError
        If a value is infinite; names the first, and its row.
    """
    infinite = np.flatnonzero(np.isinf(column))
    if len(infinite):
        raise ValueError(
            f"{what} must hold finite numbers. Got {column[infinite[0]]} in row "
            f"{infinite[0] + 1}{and_more(len(infinite))}. Correct or remove such rows."
        )


def and_more(n_rows: int) -> str:
    """Return what follows the number of the first of some rows in a message."""
    return "" if n_rows == 1 else f" and in {n_rows - 1} more"


def check_complete(
    X: np.ndarray,
    feature_names: Sequence[str] | None,
    what: str,
    rows: np.ndarray | None = None,
) -> None:
    """Raise ValueError if rows have missing values.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    feature_names : sequence of str or None
        Names for the message; None: numbers from 1.
    what : str
        Source of the rows, for the message.
    rows : ndarray of int or None, default=None
        Number of each row in its file, from 0; None if they are in order.

    Raises
    ------
    ValueError
        If a value is NaN; the message names the columns and the first row.
    """
    missing = np.isnan(X)
    columns = np.flatnonzero(missing.any(axis=0)).tolist()
    if columns:
        names = [str(i + 1) if feature_names is None else feature_names[i] for i in columns]
        found = np.flatnonzero(missing.any(axis=1))
        first = int((found if rows is None else rows[found]).min())
        raise ValueError(
            f"{what} has no value (NaN) in {len(found)} of {len(X)} rows, in the columns "
            f"{listed(names)}, first in row {first}, counted from 0. Remove or complete such rows."
        )
