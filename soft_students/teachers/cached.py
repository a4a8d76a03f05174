"""A teacher with a cache of its outputs."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from soft_students.columns import columns_of
from soft_students.sklearn_private import num_samples, safe_indexing
from soft_students.teachers.base import Teacher


class CachedTeacher(Teacher):
    """A teacher whose outputs are cached in memory, for services that cost money or time.

    All fits, searches and evaluations in this process that use the object share the cache; each
    process of a parallel search has a copy.

    Parameters
    ----------
    teacher : Teacher
    batch_size : int, default=None
        Rows per call of the teacher. None passes all unknown rows at once.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students import as_teacher
    >>> calls = []
    >>> def service(rows):
    ...     calls.append(len(rows))
    ...     return np.full((len(rows), 2), 0.5)
    >>> teacher = as_teacher(service, cache=True, batch_size=2)
    >>> X = np.array([[1.0], [2.0], [3.0], [1.0]])
    >>> teacher.predict_proba(X).shape, teacher.predict_proba(X[1:]).shape
    ((4, 2), (3, 2))
    >>> calls
    [2, 1]
    """

    may_cost = True

    def __init__(self, teacher: Teacher, *, batch_size: int | None = None) -> None:
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ValueError(
                f"The 'batch_size' of a teacher must be an int >= 1. Got {batch_size!r} instead."
            )
        super().__init__(
            name=teacher.name,
            task=teacher.task,
            kind=teacher.kind,
            classes=teacher.classes_,
            n_features=teacher.n_features_in_,
            input_range=teacher.input_range_,
        )
        self.record = teacher.record
        self.teacher = teacher
        self.batch_size = batch_size
        self._answers: dict[bytes, np.ndarray] = {}

    @property
    def feature_names_in_(self) -> list[str] | None:
        """Names of the features of the teacher that is asked."""
        return columns_of(self.teacher)

    def _outputs(self, X: Any) -> np.ndarray:
        keys = _row_keys(X)
        unknown: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            if key not in self._answers:
                unknown.setdefault(key, row)
        rows, new = list(unknown.values()), list(unknown)
        size = self.batch_size or max(len(rows), 1)
        for start in range(0, len(rows), size):
            asked = safe_indexing(X, rows[start : start + size])
            answers = self.teacher._finite_outputs(asked)
            self._answers.update(zip(new[start : start + size], answers, strict=True))
        if self.classes_ is None:  # known since a table of probabilities was returned
            self.classes_ = self.teacher.classes_
        return np.stack([self._answers[key] for key in keys])


def _row_keys(X: Any) -> list[bytes]:
    """Return a digest of each row, which includes the column names of a table."""
    names = repr(list(X.columns)).encode() if hasattr(X, "columns") else b""
    table = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    rows = table.reshape(num_samples(X), -1)
    if rows.dtype.kind in "biuf":
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        contents = (row.tobytes() for row in rows)
    else:
        contents = (repr(row.tolist()).encode() for row in rows)
    return [hashlib.blake2b(names + content, digest_size=16).digest() for content in contents]
