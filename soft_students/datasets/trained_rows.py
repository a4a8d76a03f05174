"""The rows that a model was trained on, remembered by a digest of each.

A model's file keeps them, so that rows of a table are known again in whatever order, and are never
counted as unseen. A digest is of a row's features, without its target: a row whose label was
corrected is still one that the model has seen. Columns are sorted by name first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from soft_students.datasets.dataset import Dataset

#: Rows that a file remembers; with more it remembers a sample, and calls the other rows unknown.
#: Sorted and compressed, 2**19 digests take 1.3 MB.
MAX_ROWS = 2**19

_DIGEST_BYTES = 4  # of 2**19 other rows, one in 8,000 is taken for a row that was trained on
_END = 2 ** (8 * _DIGEST_BYTES)


@dataclass(frozen=True, eq=False)
class TrainedRows:
    """The rows that a model was trained on.

    Parameters
    ----------
    count : int
        Their number.
    columns : list of str or None
        Names of the features, in any order.
    digests : ndarray of uint32
        Sorted; equal rows occur several times.
    below : int
        Digests are kept up to this one, which none reaches.
    table : str or None
        Digest of the whole table that was split, in its order; None if it was not split.
    """

    count: int
    columns: list[str] | None
    digests: np.ndarray
    below: int
    table: str | None

    @classmethod
    def of(cls, data: Dataset, *, split: bool, unlabeled: Any = None) -> Self:
        """Return the training rows of a data set.

        Parameters
        ----------
        data : Dataset
            With the columns that the model is trained on.
        split : bool
            Whether the test rows are those that `load_dataset` cuts off, or those of the file.
        unlabeled : array-like of shape (n, n_features), default=None
            Further rows that it is trained on, with the same columns.
        """
        rows = data.X_train
        if unlabeled is not None:
            rows = np.concatenate([rows, np.asarray(unlabeled, dtype=np.float32)])
        digests = np.sort(_digests(rows, data.feature_names))
        below = _END
        if len(digests) > MAX_ROWS:
            below = int(digests[MAX_ROWS])
            digests = digests[digests < below]
        table = table_digest(data) if split else None
        return cls(len(rows), data.feature_names, digests, below, table)

    def seen(self, X: np.ndarray) -> np.ndarray:
        """Return which rows were trained on, or may have been.

        Among equal rows the first ones count, as many as were trained on.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
            With the columns `columns`, in this order.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
        """
        digests = _digests(X, self.columns)
        order = np.argsort(digests, kind="stable")
        ordered = digests[order]
        # how many equal rows precede each row, and how many of them were trained on
        earlier = np.arange(len(X)) - np.searchsorted(ordered, ordered, side="left")
        trained = np.searchsorted(self.digests, ordered, side="right") - np.searchsorted(
            self.digests, ordered, side="left"
        )
        seen = np.empty(len(X), dtype=bool)
        seen[order] = (earlier < trained) | (ordered >= self.below)
        return seen

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, for `from_dict`."""
        steps = np.diff(self.digests, prepend=np.uint32(0)).astype("<u4")
        # byte by byte: the high bytes of the steps are alike, and compress well
        packed = zlib.compress(steps.view(np.uint8).reshape(-1, _DIGEST_BYTES).T.tobytes())
        return {
            "count": self.count,
            "columns": self.columns,
            "digests": base64.b85encode(packed).decode("ascii"),
            "below": self.below,
            "table": self.table,
        }

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Take back what `as_dict` returned.

        Parameters
        ----------
        value : object
            Nothing is taken for granted about it: it may come from a stranger's file.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            count, columns, below, table = (
                value[key] for key in ("count", "columns", "below", "table")
            )
            unpacker = zlib.decompressobj()
            packed = unpacker.decompress(
                base64.b85decode(value["digests"]), _DIGEST_BYTES * MAX_ROWS
            )
            whole = unpacker.eof and len(packed) % _DIGEST_BYTES == 0
            named = columns is None or (
                type(columns) is list and all(type(name) is str for name in columns)
            )
            numbers = type(count) is int and type(below) is int and 0 < below <= _END
            if not (whole and named and numbers and (table is None or type(table) is str)):
                raise ValueError("a value is of another kind")
        except (ValueError, KeyError, TypeError, zlib.error, binascii.Error) as error:
            raise ValueError(
                "The model's file has a damaged record of the rows that it was trained on "
                f"({error}). Train it again."
            ) from error
        steps = np.frombuffer(packed, np.uint8).reshape(_DIGEST_BYTES, -1).T.copy()
        digests = np.cumsum(steps.view("<u4")[:, 0], dtype=np.uint32)
        return cls(count, columns, digests, below, table)


def table_digest(data: Dataset) -> str:
    """Return a digest of all rows and targets of a table, in the order of the file.

    It is the same if a table is split in the same way, and if its columns were moved.

    Parameters
    ----------
    data : Dataset
    """
    X, y = all_rows(data)
    digest = hashlib.blake2b(_digests(X, data.feature_names).tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(y).tobytes())
    return digest.hexdigest()


def all_rows(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return features and targets of all rows, in the order of the file."""
    X = np.concatenate([data.X_train, data.X_test])
    y = np.concatenate([data.y_train, data.y_test])
    if data.train_rows is None or data.test_rows is None:
        return X, y
    order = np.argsort(np.concatenate([data.train_rows, data.test_rows]))
    return X[order], y[order]


def _digests(X: np.ndarray, names: Sequence[str] | None) -> np.ndarray:
    """Return a digest of each row."""
    order = slice(None) if names is None else np.argsort(np.array(names, dtype=object))
    rows = np.ascontiguousarray(X[:, order], dtype="<f4") + np.float32(0)  # -0.0 becomes 0.0
    rows[np.isnan(rows)] = np.nan  # of many bit patterns, one
    content = b"".join(hashlib.blake2b(row, digest_size=_DIGEST_BYTES).digest() for row in rows)
    return np.frombuffer(content, "<u4").astype(np.uint32)
