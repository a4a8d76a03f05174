"""Labelled parts as the rows that a soft tree is trained on."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from soft_students.labelled.parts import LabelledParts
from soft_students.labelled.windows import LabelledRows, ShuffledParts
from soft_students.students.soft_tree.training import share_of


class PartRows:
    """Rows that are read as training goes on; each process reads all, and keeps its own.

    Parameters
    ----------
    parts : LabelledParts
    shuffled : ShuffledParts
        Of these.
    targets_of : callable
        Maps `LabelledRows` to targets of shape (n, n_outputs). It can be pickled.

    Attributes
    ----------
    offset : ndarray of shape (n_features,) or None
    scale : ndarray of shape (n_features,)
        Rows are shifted, then divided, by these.
    share : tuple of int
        As of `Rows`.
    """

    def __init__(
        self,
        parts: LabelledParts,
        shuffled: ShuffledParts,
        targets_of: Callable[[LabelledRows], np.ndarray],
    ) -> None:
        self.n_features = parts.n_features
        self.n_outputs = parts.n_outputs
        self._shuffled = shuffled
        self._targets_of = targets_of
        self.offset: np.ndarray | None = None
        self.scale: np.ndarray = np.ones(parts.n_features, dtype=np.float32)
        self.share = (0, 1)

    @property
    def n(self) -> int:
        """Rows of an epoch."""
        return self._shuffled.n_rows

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of each feature, in one pass over the parts."""
        return moments(rows.X for rows in self._shuffled.pieces())

    def batches(
        self, batch_size: int, random_state: RandomState, device: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield one epoch: each row once, in random order within windows of parts."""
        for batch in self._shuffled.batches(batch_size, random_state):
            mine, n = share_of(len(batch), self.share)
            rows = batch.take(mine)
            X = rows.X if self.offset is None else (rows.X - self.offset) / self.scale
            targets = self._targets_of(rows).astype(np.float32)
            yield (
                torch.from_numpy(X).to(device),
                torch.from_numpy(targets).to(device),
                torch.full((len(rows),), 1 / n, device=device),
            )

    def fingerprint(self) -> str:
        """Return what tells these rows from others."""
        own = hashlib.sha256(self._shuffled.fingerprint().encode())
        own.update(pickle.dumps(self._targets_of))
        return own.hexdigest()


def moments(pieces: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each column of arrays that come one after the other.

    Parameters
    ----------
    pieces : iterator of ndarray of shape (n, n_columns)
    """
    scaler: Any = StandardScaler()
    for piece in pieces:
        scaler.partial_fit(piece)
    return scaler.mean_, np.sqrt(scaler.var_)
