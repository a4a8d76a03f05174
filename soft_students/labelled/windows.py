"""Rows of labelled parts in random order, with at most a window of them in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState

from soft_students.labelled.parts import LabelledPart, LabelledParts

WINDOW_BYTES = 2**28  # of features and targets, plus those of the next window, read ahead
_PIECE_ROWS = 8192  # rows read at a time


@dataclass(frozen=True)
class LabelledRows:
    """Rows with their targets and labels.

    Attributes
    ----------
    X : ndarray of shape (n, n_features), float32
    targets : ndarray of shape (n, n_outputs), float32
        Outputs of the teacher, as stored in the parts.
    labels : ndarray of shape (n,) or None
        True labels, if requested.
    """

    X: np.ndarray
    targets: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: np.ndarray | slice) -> LabelledRows:
        """Return some of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return LabelledRows(self.X[rows], self.targets[rows], labels)


class ShuffledParts:
    """Batches of the rows of labelled parts, shuffled in each epoch.

    Each epoch reads the parts in another order, as many at a time as fit into a window, and
    shuffles the rows of the window. Batches therefore mix rows of one window only.

    Parameters
    ----------
    parts : LabelledParts
    held_out_fraction : float
        Random share of the rows to hold out of all batches; reduced if they exceed a window.
    seed : int
        Seed of the held-out rows.
    labels : bool
        Whether to read the true labels, too.

    Attributes
    ----------
    n_rows : int
        Rows in an epoch.

    Raises
    ------
    ValueError
        If labels are requested but the rows were labelled without `target`, or all rows are held
        out.
    """

    def __init__(
        self, parts: LabelledParts, *, held_out_fraction: float, seed: int, labels: bool
    ) -> None:
        self._parts = parts
        self._seed = seed
        self._labels = labels
        self._whole: LabelledRows | None = None
        if labels and parts.target is None:
            parts[0].labels()  # raises an error with the remedy
        self._row_bytes = 4 * (parts.n_features + parts.n_outputs + labels)
        most = WINDOW_BYTES / self._row_bytes / parts.n_rows
        self._held_out_fraction = min(held_out_fraction, most)
        self.n_rows = parts.n_rows
        if held_out_fraction:
            self.n_rows -= sum(int(self._is_held_out(place).sum()) for place in range(len(parts)))
        if not self.n_rows:
            raise ValueError(
                f"validation_fraction={held_out_fraction} leaves none of the {parts.n_rows} rows "
                "of the labelled parts for training. Lower it."
            )

    def batches(self, batch_size: int, random_state: RandomState) -> Iterator[LabelledRows]:
        """Yield the batches of one epoch: each row once, only the last batch smaller.

        Parameters
        ----------
        batch_size : int
        random_state : RandomState
            Generator of the order.
        """
        rest: LabelledRows | None = None
        for window in self.windows(random_state.permutation(len(self._parts))):
            order = random_state.permutation(len(window))
            first = 0
            if rest is not None:
                first = batch_size - len(rest)
                rest = joined([rest, window.take(order[:first])])
                if len(rest) < batch_size:
                    continue
                yield rest
                rest = None
            for start in range(first, len(order), batch_size):
                batch = window.take(order[start : start + batch_size])
                if len(batch) == batch_size:
                    yield batch
                else:
                    rest = batch
        if rest is not None:
            yield rest

    def windows(self, order: np.ndarray | None = None) -> Iterator[LabelledRows]:
        """Yield the rows in windows, unshuffled within a part.

        If all rows fit into one window, it is read once and kept.

        Parameters
        ----------
        order : ndarray of int or None
            Order of the parts; None keeps their own.
        """
        if self._row_bytes * self._parts.n_rows <= WINDOW_BYTES:
            self._whole = self._whole or self._read(list(range(len(self._parts))))
            yield self._whole
            return
        groups = list(self._groups(range(len(self._parts)) if order is None else order.tolist()))
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._read, groups[0])
            for following in [*groups[1:], None]:
                window = coming.result()
                if following is not None:
                    coming = reader.submit(self._read, following)
                yield window

    def pieces(self) -> Iterator[LabelledRows]:
        """Yield the rows in pieces of some thousand, to limit the memory of computations."""
        for window in self.windows():
            for start in range(0, len(window), _PIECE_ROWS):
                yield window.take(slice(start, start + _PIECE_ROWS))

    def held_out(self) -> LabelledRows:
        """Return the held-out rows."""
        return joined(
            [
                _read(part, self._labels).take(self._is_held_out(place))
                for place, part in enumerate(self._parts)
            ]
        )

    def fingerprint(self) -> str:
        """Return a digest of rows, targets and settings."""
        digest = hashlib.sha256()
        for part in self._parts:
            record = part.record() or {}
            known = [part.name, part.target, part.columns, *map(record.get, ("source", "sha256"))]
            digest.update(json.dumps(known, sort_keys=True).encode())
        digest.update(repr((self._held_out_fraction, self._seed, self._labels)).encode())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_whole": None}  # other processes read their own copy

    def _is_held_out(self, place: int) -> np.ndarray:
        drawn = np.random.default_rng([self._seed, place]).random(self._parts[place].n_rows)
        return drawn < self._held_out_fraction

    def _groups(self, order: list[int] | range) -> Iterator[list[int]]:
        group: list[int] = []
        held = 0
        for place in order:
            size = self._parts[place].n_rows * self._row_bytes
            if group and held + size > WINDOW_BYTES:
                yield group
                group, held = [], 0
            group.append(place)
            held += size
        yield group

    def _read(self, places: list[int]) -> LabelledRows:
        """Read the rows of some parts that are not held out, directly into one array."""
        kept = [~self._is_held_out(place) for place in places]
        n_rows = sum(int(some.sum()) for some in kept)
        X = np.empty((n_rows, self._parts.n_features), dtype=np.float32)
        targets: np.ndarray | None = None
        stop = 0
        for place, some in zip(places, kept, strict=True):
            first = 0
            for rows, outputs in self._parts[place].batches(_PIECE_ROWS):
                if targets is None:
                    targets = np.empty((n_rows, outputs.shape[1]), dtype=np.float32)
                mine = some[first : first + len(rows)]
                start, stop = stop, stop + int(mine.sum())
                X[start:stop], targets[start:stop] = rows[mine], outputs[mine]
                first += len(rows)
        assert targets is not None
        labels = None
        if self._labels:
            read = [self._parts[place].labels() for place in places]
            labels = np.concatenate(
                [of_part[some] for of_part, some in zip(read, kept, strict=True)]
            )
        return LabelledRows(X, targets, labels)


def _read(part: LabelledPart, labels: bool) -> LabelledRows:
    return LabelledRows(part.X(), part.targets(), part.labels() if labels else None)


def joined(rows: list[LabelledRows]) -> LabelledRows:
    """Concatenate rows."""
    if len(rows) == 1:
        return rows[0]
    return LabelledRows(
        np.concatenate([some.X for some in rows]),
        np.concatenate([some.targets for some in rows]),
        None if rows[0].labels is None else np.concatenate([some.labels for some in rows]),
    )
