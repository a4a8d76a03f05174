"""Training rows of a soft tree, in memory or read from labelled parts."""

from __future__ import annotations

import hashlib
import itertools
import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from soft_students.labelled.parts import LabelledParts
from soft_students.labelled.windows import LabelledRows, ShuffledParts
from soft_students.students.copies import taught_copies
from soft_students.students.supervision import Ask


class TrainingRows(Protocol):
    """Protocol of the training rows of a tree.

    Attributes
    ----------
    share : tuple of int
        (process, number of processes): each takes its part of each batch.
    """

    share: tuple[int, int]

    @property
    def n(self) -> int:
        """Number of rows in an epoch."""

    def batches(
        self, batch_size: int, random_state: np.random.RandomState, device: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the batches of an epoch: rows, targets, and weights with sum one over processes."""

    def fingerprint(self) -> str:
        """Return a digest that identifies the rows."""


@dataclass
class RowsInMemory:
    """Rows in memory, followed by their distorted copies, with the targets of each.

    Parameters
    ----------
    X : Tensor of shape (n_banks * n, n_features)
        Rows as floats, or as uint8 codes of ``low + code * step``.
    targets : Tensor of shape (n_banks * n, n_outputs)
    weights : Tensor of shape (n,)
        Sample weights with mean one; a copy has the weight of its original.
    low, step : float
    share : tuple of int, default=(0, 1)
        See `TrainingRows`.
    """

    X: Tensor
    targets: Tensor
    weights: Tensor
    low: float = 0.0
    step: float = 1.0
    share: tuple[int, int] = (0, 1)

    @property
    def n(self) -> int:
        """Number of rows in an epoch."""
        return len(self.weights)

    def batches(
        self, batch_size: int, random_state: np.random.RandomState, device: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield one epoch: each row, or one of its copies, once, in random order."""
        order = random_state.permutation(self.n)
        bank = len(self.X) // self.n
        rows = order + self.n * random_state.randint(bank, size=self.n) if bank > 1 else order
        dtype = self.targets.dtype
        for start in range(0, self.n, batch_size):
            batch = slice(start, start + batch_size)
            mine, n = share_of(len(order[batch]), self.share)
            index = torch.from_numpy(rows[batch][mine])
            X = self.X.index_select(0, index).to(device, dtype)
            if self.X.dtype == torch.uint8:
                X.mul_(self.step).add_(self.low)
            weights = self.weights[torch.from_numpy(order[batch][mine])] / n
            yield X, self.targets.index_select(0, index).to(device), weights.to(device)

    def fingerprint(self) -> str:
        """Return a digest that identifies the rows."""
        digest = hashlib.sha256(repr((self.low, self.step)).encode())
        for tensor in (self.X, self.targets, self.weights):
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


def gather_rows(
    tree: Any,
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    originals: np.ndarray,
    ask: Ask | None,
    random_state: RandomState,
) -> RowsInMemory:
    """Return the training rows, including those of the tree's transfer set.

    Parameters
    ----------
    tree : BaseSoftDecisionTree
        Tree whose feature scaling is set.
    X : ndarray of shape (n, n_features)
    targets : ndarray of shape (n, n_outputs)
    weights : ndarray of shape (n,)
    originals, ask, random_state
        See :func:`~soft_students.students.copies.taught_copies`.
    """
    sample_weights = torch.from_numpy(weights / weights.mean())
    if tree.transfer is None:
        return RowsInMemory(
            torch.from_numpy(tree._shifted(X)),
            torch.from_numpy(targets.astype(X.dtype)),
            sample_weights,
        )
    n, banks = len(X), 1 + tree.transfer_copies
    low = float(X.min())
    step = (float(X.max()) - low) / 255 or 1.0
    # Distorted images with eight bits per value take a quarter of the memory of float32.
    coded = tree.transfer.eight_bit and not tree.standardize
    bank = np.empty((banks * n, X.shape[1]), dtype=np.uint8 if coded else X.dtype)
    bank_targets = np.empty((banks * n, targets.shape[1]), dtype=X.dtype)
    copies = taught_copies(tree, X, targets, originals, ask, random_state)
    for copy, (made, told) in enumerate(itertools.chain([(X, targets)], copies)):
        place = slice(copy * n, (copy + 1) * n)
        bank_targets[place] = told
        bank[place] = np.rint((made - low) / step).clip(0, 255) if coded else tree._shifted(made)
    return RowsInMemory(
        torch.from_numpy(bank), torch.from_numpy(bank_targets), sample_weights, low, step
    )


def share_of(n: int, share: tuple[int, int]) -> tuple[slice, float]:
    """Return a process's positions in a batch of n rows, and the divisor of their weights.

    A process without a row takes the first one with weight zero, which changes no sum.

    Parameters
    ----------
    n : int
    share : tuple of int
        (process, number of processes).
    """
    process, n_processes = share
    return (slice(process, n, n_processes), n) if process < n else (slice(0, 1), math.inf)


class StreamedRows:
    """Rows read during training; each process reads all and keeps its share.

    Parameters
    ----------
    parts : LabelledParts
    shuffled : ShuffledParts
        Reader of these parts.
    targets_of : callable
        Maps `LabelledRows` to targets of shape (n, n_outputs). Must be picklable.

    Attributes
    ----------
    offset : ndarray of shape (n_features,) or None
    scale : ndarray of shape (n_features,)
        Rows are shifted, then divided, by these.
    share : tuple of int
        See `TrainingRows`.
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
        """Number of rows in an epoch."""
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
        """Return a digest that identifies the rows."""
        own = hashlib.sha256(self._shuffled.fingerprint().encode())
        own.update(pickle.dumps(self._targets_of))
        return own.hexdigest()


def moments(pieces: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each column over several arrays.

    Parameters
    ----------
    pieces : iterator of ndarray of shape (n, n_columns)
    """
    scaler: Any = StandardScaler()
    for piece in pieces:
        scaler.partial_fit(piece)
    return scaler.mean_, np.sqrt(scaler.var_)
