"""Lazy labelling of Dask arrays with a teacher, block by block."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.targets import check_temperature
from soft_students.teachers import Teacher, as_teacher

if TYPE_CHECKING:
    from dask.array import Array


def label_array(teacher: Any, X: Array, temperature: float | None = None) -> Array:
    """Return a teacher's outputs for a Dask array; each block is computed when it is needed.

    Parameters
    ----------
    teacher : Teacher, or anything that `soft_students.as_teacher` takes
    X : dask array of shape (n_samples, n_features)
        Rows; the lengths of blocks may be unknown, as for a data frame.
    temperature : float, default=None
        Temperature of a classifier's probabilities. None means 1.

    Returns
    -------
    dask array of shape (n_samples, n_classes), float32
        Probabilities, in the same blocks of rows as `X`; for a regressor, values of shape
        (n_samples, n_outputs).

    Raises
    ------
    ImportError
        If Dask is not installed: ``pip install 'soft-students[scale]'``.
    TypeError
        If `X` is not a Dask array.
    ValueError
        If `X` has another number of features than the teacher, or the temperature is not above 0.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.dask import label_array
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> labels = label_array(teacher, da.from_array(X, chunks=(50, 4)), temperature=5.0)
    >>> labels.shape, labels.chunks[0]
    ((150, 3), (50, 50, 50))
    >>> labels[:1].compute().round(2)
    array([[0.68, 0.31, 0.02]], dtype=float32)
    """
    try:
        import dask.array as da
        from dask import delayed
    except ImportError as error:
        raise ImportError(
            "Labelling Dask arrays needs Dask. Install it with: pip install 'soft-students[scale]'"
        ) from error
    if not isinstance(X, da.Array):
        raise TypeError(
            f"label_array takes a Dask array: da.from_array(X, ...). Got {type(X).__name__}; for "
            "arrays in memory use predict_proba or predict of the teacher."
        )
    teacher = as_teacher(teacher)
    if X.ndim < 2:
        raise ValueError(
            f"X must have the shape (n_samples, n_features). Got {X.ndim} dimension(s)."
        )
    if temperature is not None:
        check_temperature(temperature)
        if teacher.task == "regression":
            raise ValueError(
                f"The teacher {teacher.name!r} predicts values: leave out the temperature."
            )
    width = int(np.prod(X.shape[1:]))
    if teacher.n_features_in_ not in (None, width):
        raise ValueError(
            f"X has {width} features, but the teacher {teacher.name!r} was trained on "
            f"{teacher.n_features_in_} features."
        )
    X = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    n_outputs = _n_outputs(teacher, X)
    return da.map_blocks(
        _outputs,
        X,
        # one node of the graph: the teacher is sent once per worker, not per block
        teacher=delayed(teacher, pure=False, traverse=False),
        temperature=1.0 if temperature is None else temperature,
        n_outputs=n_outputs,
        dtype=np.float32,
        drop_axis=list(range(1, X.ndim)),
        new_axis=1,
        chunks=(X.chunks[0], (n_outputs,)),
        meta=np.empty((0, n_outputs), dtype=np.float32),
        name=f"label-{uuid.uuid4().hex}",
    )


def _n_outputs(teacher: Teacher, X: Array) -> int:
    if teacher.classes_ is not None:
        return len(teacher.classes_)
    # without the checks of X: zeros may be outside the teacher's input range
    row = np.zeros((1, *X.shape[1:]), dtype=X.dtype)
    if teacher.task == "regression":
        return _columns(teacher._values(row)).shape[1]
    return teacher._logits(row).shape[1]


def _outputs(X: np.ndarray, teacher: Teacher, temperature: float, n_outputs: int) -> np.ndarray:
    if not len(X):
        return np.empty((0, n_outputs), dtype=np.float32)
    if teacher.task == "regression":
        return _columns(teacher.predict(X)).astype(np.float32)
    return teacher.predict_proba(X, temperature).astype(np.float32)


def _columns(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 2 else values[:, np.newaxis]
