"""Training rows, and the batches that are made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from soft_students.methods.samplers import Sampler
from soft_students.transfer import Transfer


@dataclass(frozen=True)
class Batch:
    """Some training rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, ...)
        As all networks take them: before standardisation.
    labels : Tensor of int64, shape (n,), or None
        Number of the true class.
    rows : Tensor of int64, shape (n,), or None
        Which training rows they are, so that what has been said of them is known; None if the
        inputs have been distorted.
    progress : float
        Share of the stage that is done, in [0, 1).
    epoch : int
        Of the stage, from 0.
    index : Tensor of int64, shape (n,), or None
        Which training rows the inputs are, distorted or not; None if they are of no one row.
    teacher_logits : Tensor of shape (n, n_classes), or None
        What the teacher says of the inputs, where that comes with them.
    weight : float
        Of the mean over these rows in the mean over processes: one where all have as many.
    """

    inputs: Tensor
    labels: Tensor | None
    rows: Tensor | None
    progress: float = 0.0
    epoch: int = 0
    index: Tensor | None = None
    teacher_logits: Tensor | None = None
    weight: float = 1.0


class Passes(Sized, Protocol):
    """Batches, in a fresh order at each pass."""

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of a pass."""


@dataclass(frozen=True)
class TrainingData:
    """All training rows, on the CPU.

    Parameters
    ----------
    inputs : Tensor of shape (n, ...)
    labels : Tensor of int64, shape (n,), or None
    """

    inputs: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs)

    def example(self, n: int) -> Tensor:
        """Return a few inputs."""
        return self.inputs[torch.arange(n) % len(self)]

    def fingerprint(self) -> str:
        """Return what tells these rows from others."""
        digest = hashlib.sha256(self.inputs.numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()


class StreamedData(Protocol):
    """Training rows that are read as training goes on: more of them than memory holds."""

    def __len__(self) -> int:
        """Return the number of rows in a pass."""

    def n_batches(self, batch_size: int) -> int:
        """Return the number of batches in a pass."""

    def read(
        self, batch_size: int, generator: torch.Generator, share: tuple[int, int]
    ) -> Iterator[Batch]:
        """Yield one pass: a process's part of each batch, on the CPU."""

    def example(self, n: int) -> Tensor:
        """Return a few inputs."""

    def fingerprint(self) -> str:
        """Return what tells these rows from others."""


class Batches:
    """A fresh pass over the training rows each time it is iterated.

    Parameters
    ----------
    data : TrainingData
    sampler : Sampler
        Which rows make which batch.
    generator : torch.Generator
        Of the order.
    device : torch.device
    augment : Transfer or None
        Distorts each batch.
    share : tuple of int, default=(0, 1)
        (process, number of processes): each takes its part of each batch.
    """

    def __init__(
        self,
        data: TrainingData,
        sampler: Sampler,
        generator: torch.Generator,
        device: torch.device,
        augment: Transfer | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._data = data
        self._sampler = sampler
        self._generator = generator
        self._device = device
        self._augment = augment
        self._share = share

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Batch]:
        for whole in self._sampler.batches(self._generator):
            mine, weight = share_of(whole, self._share)
            rows = mine.flatten()
            labels = None if self._data.labels is None else self._data.labels[rows]
            batch = Batch(self._data.inputs[rows], labels, rows, index=rows, weight=weight)
            yield _ready(batch, self._augment, self._generator, self._device)


class StreamedBatches:
    """A fresh pass over rows that are read meanwhile, each time it is iterated.

    Parameters
    ----------
    data : StreamedData
    batch_size : int
    generator, device, augment, share
        As of `Batches`.
    """

    def __init__(
        self,
        data: StreamedData,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
        augment: Transfer | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._data = data
        self._batch_size = batch_size
        self._generator = generator
        self._device = device
        self._augment = augment
        self._share = share

    def __len__(self) -> int:
        return self._data.n_batches(self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._data.read(self._batch_size, self._generator, self._share):
            yield _ready(batch, self._augment, self._generator, self._device)


class NoData:
    """Batches without rows, for methods that make their own.

    Parameters
    ----------
    n_batches : int
        Of a pass.
    """

    def __init__(self, n_batches: int) -> None:
        self._n_batches = n_batches

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self._n_batches):
            yield Batch(torch.empty(0), None, None)


def share_of(rows: Tensor, share: tuple[int, int]) -> tuple[Tensor, float]:
    """Return a process's part of the rows of a batch, and the weight of the mean over it.

    The mean over all processes, each with its weight, is that over the batch. A process for which
    there is no row takes the first, of no weight, so that all take as many steps.

    Parameters
    ----------
    rows : Tensor of shape (n,) or (m, n)
        As of `Sampler.batches`.
    share : tuple of int
        (process, number of processes).
    """
    process, n_processes = share
    n = rows.shape[-1]
    if process >= n:
        return rows[..., :1], 0.0
    mine = rows[..., process::n_processes]
    return mine, mine.shape[-1] * n_processes / n


def _ready(
    batch: Batch, augment: Transfer | None, generator: torch.Generator, device: torch.device
) -> Batch:
    """Return a batch on a device, with distorted inputs if they are to be."""
    if augment is not None:
        # whatever the teacher has said, it was not of these inputs
        inputs = distort(augment, batch.inputs, generator)
        batch = replace(batch, inputs=inputs, rows=None, teacher_logits=None)
        if not augment.keeps_labels:  # mixtures, say, are of no one row
            batch = replace(batch, labels=None, index=None)
    labels, said = batch.labels, batch.teacher_logits
    return replace(
        batch,
        inputs=batch.inputs.to(device),
        labels=None if labels is None else labels.to(device),
        teacher_logits=None if said is None else said.to(device),
    )


def distort(augment: Transfer, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return distorted copies of inputs, of their shape and device."""
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    rows = inputs.detach().cpu().flatten(1).numpy()
    made = augment.sample(rows, np.random.RandomState(seed))
    return torch.from_numpy(made).view(inputs.shape).to(inputs.device, inputs.dtype)
