"""Which training rows make a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor


class Sampler(Protocol):
    """Makes the batches of one pass; a new order each time."""

    def __len__(self) -> int:
        """Return the number of batches of a pass."""

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch, tensors of int64.

        Of shape (n,), or (m, n) where the m rows of a column belong together: several processes
        share a batch by columns, and its rows then follow in the order of ``flatten()``.
        """


class Shuffled:
    """Every row once, in random order.

    Parameters
    ----------
    n_rows, batch_size : int
        Batches differ in size by one at most, so that none is left with a single row, which batch
        normalisation could not stand.
    """

    def __init__(self, n_rows: int, batch_size: int) -> None:
        self._n_rows = n_rows
        self._n_batches = max(1, math.ceil(n_rows / batch_size))

    def __len__(self) -> int:
        return self._n_batches

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch."""
        order = torch.randperm(self._n_rows, generator=generator)
        yield from order.tensor_split(self._n_batches)
