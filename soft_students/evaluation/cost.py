"""What a model costs to keep and to ask, measured; `complexity` counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples
from threadpoolctl import threadpool_info

from soft_students.students.files import dumps
from soft_students.teachers import EnsembleTeacher, Teacher, TorchTeacher

_WARM_UP_CALLS = 10
_TIMED_CALLS = 500
_ROWS = 64  # asked in turn, so that no one path of a tree stays in the processor's cache
_MAX_SECONDS = 2.0  # a slow model is asked less often
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
        The sum over the members of an ensemble. None for a teacher that is not a PyTorch module
        and does not show its parameters.
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
    """How long calls take, or how much they do in a time.

    Parameters
    ----------
    median, low, high : float
        Median and quartiles over the calls. Where the machine has other work to do, `high` tells.
    calls : int
        Calls that were timed.
    threads : int
        That numerical libraries of the process might use; a model's own `n_jobs` may be less.
    """

    median: float
    low: float
    high: float
    calls: int
    threads: int


def latency(model: Predictor, X: Any) -> Timing:
    """Time `predict` on one row, in microseconds.

    Rows of `X` are asked one by one, in turn, after ten calls to warm up; 500 calls are timed
    (fewer if they take longer than two seconds, five at least). It is the time that a Python
    program waits: input validation, conversion to other types and scikit-learn's overhead are in
    it, cutting the row out of `X` is not. Threads are as the process has set them; for the figure
    of one thread, set that before (``OMP_NUM_THREADS=1``, `threadpoolctl`,
    `torch.set_num_threads`).

    Parameters
    ----------
    model : object with a `predict` method
        A fitted student or a teacher.
    X : array-like or DataFrame of shape (n_samples, n_features)
        At least one row. The model gets rows of the same type, of shape (1, n_features).

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
    throughput : A row of a batch costs much less.
    """
    n_rows = min(_ROWS, _num_samples(X))
    if not n_rows:
        raise ValueError("Measuring the latency needs at least one row of X. Got none.")
    rows = [_safe_indexing(X, [i]) for i in range(n_rows)]
    deadline = time.perf_counter() + _MAX_SECONDS
    times: list[int] = []
    for call in range(_WARM_UP_CALLS + _TIMED_CALLS):
        row = rows[call % n_rows]
        start = time.perf_counter_ns()
        model.predict(row)
        times.append(time.perf_counter_ns() - start)
        if len(times) >= 6 and time.perf_counter() > deadline:
            break
    # Of a slow model only the first call is left out, the one that sets things up.
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
    latency : How it is measured, and its spread.
    """
    return latency(model, X).median


def throughput(model: Predictor, X: Any) -> Timing:
    """Time `predict` on a batch of a thousand rows, in rows per second.

    One call warms up; twenty are timed, fewer if they take longer than a second.

    Parameters
    ----------
    model : object with a `predict` method
        A fitted student or a teacher.
    X : array-like or DataFrame of shape (n_samples, n_features)
        At least one row. Fewer than a thousand are repeated, more are left out.

    Returns
    -------
    Timing
        In rows per second.

    Raises
    ------
    ValueError
        If `X` has no rows.
    """
    n_rows = _num_samples(X)
    if not n_rows:
        raise ValueError("Measuring the throughput needs at least one row of X. Got none.")
    batch = _safe_indexing(X, np.arange(_BATCH_ROWS) % n_rows)
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
    """Return how many threads numerical libraries of this process may use: BLAS, OpenMP, torch."""
    pools = [pool["num_threads"] for pool in threadpool_info()]
    return max([torch.get_num_threads(), *pools])


def _timing(values: np.ndarray) -> Timing:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Timing(float(median), float(low), float(high), len(values), n_threads())
