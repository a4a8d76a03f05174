"""Builds a checked data set from the arrays of CSV, Parquet and NPZ files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from soft_students.choices import listed
from soft_students.datasets.dataset import Dataset, Task
from soft_students.datasets.splitting import part_size, stratify_on

_DEFAULT_TEST_SIZE = 0.25

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
    test_size: float | None,
    random_state: int | None,
) -> Dataset:
    """Return the data set of a file's arrays; without `test`, split the test rows off `train`."""
    X, y = train
    if test is None:
        y, task = _as_target(y, task, f"The target {target!r} of '{path}'")
        X_train, X_test, y_train, y_test = _split(path, X, y, test_size, random_state)
    else:
        if test_size is not None:
            raise ValueError(
                f"'{path}' has its own test set: leave out test_size. Got {test_size!r}."
            )
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
    )


def _split(
    path: Path, X: np.ndarray, y: np.ndarray, test_size: float | None, random_state: int | None
) -> list[np.ndarray]:
    if len(X) < 2:
        raise ValueError(
            f"'{path}' must hold at least 2 rows, one to train and one to test on. Got {len(X)}."
        )
    fraction = _DEFAULT_TEST_SIZE if test_size is None else test_size
    n_test = part_size(len(X), fraction, "'test_size' parameter of load_dataset")
    parts: list[np.ndarray] = train_test_split(
        X, y, test_size=n_test, random_state=random_state, stratify=stratify_on(y, n_test)
    )
    return parts


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


def check_complete(X: np.ndarray, feature_names: Sequence[str] | None, what: str) -> None:
    """Raise ValueError if rows have missing values.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    feature_names : sequence of str or None
        Names for the message; None: numbers from 1.
    what : str
        Source of the rows, for the message.

    Raises
    ------
    ValueError
        If a value is NaN; the message names the columns.
    """
    missing = np.isnan(X)
    columns = np.flatnonzero(missing.any(axis=0)).tolist()
    if columns:
        names = [str(i + 1) if feature_names is None else feature_names[i] for i in columns]
        raise ValueError(
            f"{what} has no value (NaN) in {missing.any(axis=1).sum()} of {len(X)} rows, in the "
            f"columns {listed(names)}. Remove or complete such rows."
        )
