"""Measured costs of a model: file size, memory, latency and throughput."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_info

from soft_students.sklearn_private import num_samples, safe_indexing
from soft_students.students.files import dumps
from soft_students.teachers import EnsembleTeacher, Teacher, TorchTeacher

_WARM_UP_CALLS = 10
_TIMED_CALLS = 500
_ROWS = 64  # predicted in turn, so that no single path of a tree stays in the processor's cache
_MAX_SECONDS = 2.0  # a slow model gets fewer calls
_BATCH_ROWS = 1000
_BATCH_CALLS = 20
_MAX_BATCH_SECONDS = 1.0


class Predictor(Protocol):
    """Anything with a `predict` that takes rows."""

    def predict(self, X: Any) -> Any:
        """Return a prediction for each row."""


def bundle_bytes(student: BaseEstimator) -> int:
    """Return the size of the file that `soft_students.save` would write, in bytes.

    Parameters
    ----------
    student : estimator
        A fitted student of the registry.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If it cannot be saved.
    """
    return len(dumps(student))


def parameter_bytes(teacher: Teacher) -> int | None:
    """Return the size of a teacher's parameters and buffers in memory, in bytes.

    Parameters
    ----------
    teacher : Teacher

    Returns
    -------
    int or None
        Sum over the members of an ensemble. None for teachers other than PyTorch modules.
    """
    if isinstance(teacher, EnsembleTeacher):
        sizes = [parameter_bytes(member) for member in teacher.members]
        return None if None in sizes else sum(size for size in sizes if size is not None)
    if not isinstance(teacher, TorchTeacher):
        return None
    tensors = [*teacher.module.parameters(), *teacher.module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass(frozen=True)
class Timing:
    """Measured duration or rate of calls.

    Parameters
    ----------
    median, low, high : float
        Median and quartiles over the calls. A large `high` shows that the machine was busy.
    calls : int
        Number of timed calls.
    threads : int
        Threads allowed to the process's numerical libraries; a model's `n_jobs` may be lower.
    """

    median: float
    low: float
    high: float
    calls: int
    threads: int


def latency(model: Predictor, X: Any) -> Timing:
    """Time `predict` on one row, in microseconds.

    Rows of `X` are predicted one by one, in turn: 10 calls warm up, then 500 are timed (at least 5,
    fewer than 500 if they take longer than 2 s). The time is what a Python program waits: it
    includes input validation, type conversion and scikit-learn's overhead, but not taking the row
    from `X`. To measure one thread, set it beforehand (``OMP_NUM_THREADS=1``, `threadpoolctl`,
    `torch.set_num_threads`).

    Parameters
    ----------
    model : object with a `predict` method
        A fitted student or a teacher.
    X : array-like or DataFrame of shape (n_samples, n_features)
        At least one row. The model gets slices of the same type, of shape (1, n_features).

    Returns
    -------
    Timing
        In microseconds.

    Raises
    ------
    ValueError
        If `X` has no rows.

    See Also
    --------
    throughput : Rows per second in batches, where a row costs much less.
    """
    n_rows = min(_ROWS, num_samples(X))
    if not n_rows:
        raise ValueError("Measuring the latency needs at least one row of X. Got none.")
    rows = [safe_indexing(X, [i]) for i in range(n_rows)]
    deadline = time.perf_counter() + _MAX_SECONDS
    times: list[int] = []
    for call in range(_WARM_UP_CALLS + _TIMED_CALLS):
        row = rows[call % n_rows]
        start = time.perf_counter_ns()
        model.predict(row)
        times.append(time.perf_counter_ns() - start)
        if len(times) >= 6 and time.perf_counter() > deadline:
            break
    # For a slow model only the first call, which does the set-up, is left out.
    warm_up = _WARM_UP_CALLS if len(times) > 2 * _WARM_UP_CALLS else 1
    return _timing(np.array(times[warm_up:]) / 1000)


def latency_us(model: Predictor, X: Any) -> float:
    """Return the median time of one `predict` on one row, in microseconds.

    Parameters
    ----------
    model : object with a `predict` method
        A fitted student or a teacher.
    X : array-like or DataFrame of shape (n_samples, n_features)
        At least one row.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `X` has no rows.

    See Also
    --------
    latency : Describes the measurement, and returns the spread as well.
    """
    return latency(model, X).median


def throughput(model: Predictor, X: Any) -> Timing:
    """Time `predict` on batches of 1000 rows, in rows per second.

    One call warms up; 20 are timed, fewer if they take longer than 1 s.

    Parameters
    ----------
    model : object with a `predict` method
        A fitted student or a teacher.
    X : array-like or DataFrame of shape (n_samples, n_features)
        At least one row. Fewer than 1000 are repeated, more are left out.

    Returns
    -------
    Timing
        In rows per second.

    Raises
    ------
    ValueError
        If `X` has no rows.
    """
    n_rows = num_samples(X)
    if not n_rows:
        raise ValueError("Measuring the throughput needs at least one row of X. Got none.")
    batch = safe_indexing(X, np.arange(_BATCH_ROWS) % n_rows)
    deadline = time.perf_counter() + _MAX_BATCH_SECONDS
    model.predict(batch)
    seconds: list[float] = []
    while len(seconds) < _BATCH_CALLS:
        start = time.perf_counter()
        model.predict(batch)
        end = time.perf_counter()
        seconds.append(end - start)
        if end > deadline:
            break
    return _timing(_BATCH_ROWS / np.array(seconds))


def n_threads() -> int:
    """Return the threads allowed to this process's numerical libraries: BLAS, OpenMP, torch."""
    pools = [pool["num_threads"] for pool in threadpool_info()]
    return max([torch.get_num_threads(), *pools])


def _timing(values: np.ndarray) -> Timing:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Timing(float(median), float(low), float(high), len(values), n_threads())
