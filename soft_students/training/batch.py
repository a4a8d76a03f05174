"""Training rows and their batches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from soft_students.transfer import Transfer


@dataclass(frozen=True)
class Batch:
    """A batch of training rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, ...)
        Inputs before standardisation.
    labels : Tensor of int64, shape (n,), or None
        Index of the true class.
    rows : Tensor of int64, shape (n,), or None
        Indices of the training rows, by which cached outputs are found; None if the inputs are
        distorted.
    progress : float
        Completed share of the stage, in [0, 1).
    epoch : int
        Epoch of the stage, from 0.
    index : Tensor of int64, shape (n,), or None
        Indices of the training rows, distorted or not; None if an input mixes several rows.
    teacher_logits : Tensor of shape (n, n_classes), or None
        Logits of the teacher, if they are stored with the inputs.
    weight : float
        Weight of this batch's mean in the mean over processes: 1 if all have the same size.
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
    """Batches, in a new order at each pass."""

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of a pass."""


@dataclass(frozen=True)
class TrainingData:
    """All training rows, on the CPU.

    Parameters
    ----------
    inputs : Tensor of shape (n, ...)
    labels : Tensor of int64, shape (n,), or None
    weights : Tensor of float64, shape (n,), or None
        Samplers draw rows in proportion to these; None draws each row once in a pass.
    """

    inputs: Tensor
    labels: Tensor | None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def example(self, n: int) -> Tensor:
        """Return a few inputs."""
        return self.inputs[torch.arange(n) % len(self)]

    def fingerprint(self) -> str:
        """Return a SHA-256 digest of the rows, in hexadecimal."""
        digest = hashlib.sha256(self.inputs.numpy().tobytes())
        for more in (self.labels, self.weights):
            if more is not None:
                digest.update(more.numpy().tobytes())
        return digest.hexdigest()


class StreamedData(Protocol):
    """Training rows that exceed memory and are read during training."""

    def __len__(self) -> int:
        """Return the number of rows in a pass."""

    def n_batches(self, batch_size: int) -> int:
        """Return the number of batches in a pass."""

    def read(
        self, batch_size: int, generator: torch.Generator, share: tuple[int, int]
    ) -> Iterator[Batch]:
        """Yield one pass: a process's share of each batch, on the CPU."""

    def example(self, n: int) -> Tensor:
        """Return a few inputs."""

    def fingerprint(self) -> str:
        """Return a digest of the rows."""


class Sampler(Protocol):
    """Yields the row indices of each batch of a pass, in a new order each time."""

    def __len__(self) -> int:
        """Return the number of batches in a pass."""

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the row indices of each batch, tensors of int64.

        Their shape is (n,), or (m, n) if the m rows of a column belong together. Several processes
        share a batch by columns; the batch has its rows in the order of ``flatten()``.
        """


def draw_by_weight(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Draw n of n rows, each in proportion to its weight.

    The sampling is systematic: a row whose weight is k times the mean is drawn k times, up to
    rounding, and equal weights draw each row once.

    Parameters
    ----------
    weights : Tensor of shape (n,)
        Non-negative, not all zero.
    generator : torch.Generator

    Returns
    -------
    Tensor of int64, shape (n,)
        Row numbers, ascending.

    Examples
    --------
    >>> import torch
    >>> from soft_students.training.batch import draw_by_weight
    >>> draw_by_weight(torch.tensor([1.0, 0.0, 2.0, 1.0]), torch.Generator().manual_seed(0))
    tensor([0, 2, 2, 3])
    """
    n = len(weights)
    ends = weights.double().cumsum(0)
    places = torch.arange(n) + torch.rand((), generator=generator, dtype=torch.float64)
    return torch.searchsorted(ends * (n / ends[-1]), places, right=True).clamp_max(n - 1)


class Shuffled:
    """Sampler of every row once in random order, or in proportion to weights.

    Parameters
    ----------
    n_rows, batch_size : int
        Batch sizes differ by at most one, so that no batch has a single row, on which batch
        normalisation fails.
    weights : Tensor of shape (n_rows,), default=None
        See `draw_by_weight`.
    """

    def __init__(self, n_rows: int, batch_size: int, weights: Tensor | None = None) -> None:
        self._n_rows = n_rows
        self._n_batches = max(1, math.ceil(n_rows / batch_size))
        self._weights = weights

    def __len__(self) -> int:
        return self._n_batches

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch."""
        order = torch.randperm(self._n_rows, generator=generator)
        if self._weights is not None:
            order = draw_by_weight(self._weights, generator)[order]
        yield from order.tensor_split(self._n_batches)


class Batches:
    """Batches of training rows in memory; each iteration is a new pass.

    Parameters
    ----------
    data : TrainingData
    sampler : Sampler
        Yields the rows of each batch.
    generator : torch.Generator
        Generator of the order.
    device : torch.device
    augment : Transfer or None
        Distorts each batch.
    share : tuple of int, default=(0, 1)
        (process, number of processes): each process takes its share of each batch.
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
    """Batches of rows that are read during training; each iteration is a new pass.

    Parameters
    ----------
    data : StreamedData
    batch_size : int
    generator, device, augment, share
        See `Batches`.
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
    """Batches without rows, for methods that generate their own.

    Parameters
    ----------
    n_batches : int
        Number of batches in a pass.
    """

    def __init__(self, n_batches: int) -> None:
        self._n_batches = n_batches

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self._n_batches):
            yield Batch(torch.empty(0), None, None)


def share_of(rows: Tensor, share: tuple[int, int]) -> tuple[Tensor, float]:
    """Return a process's share of the rows of a batch, and the weight of its mean.

    The weighted mean over all processes is the mean over the batch. If a batch has fewer rows than
    processes, the rest take the first row with weight zero, so that all take the same steps.

    Parameters
    ----------
    rows : Tensor of shape (n,) or (m, n)
        Rows of a batch, from `Sampler.batches`.
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
    """Move a batch to a device, after distorting its inputs if `augment` is given."""
    if augment is not None:
        # earlier logits of the teacher do not apply to distorted inputs
        inputs = distort(augment, batch.inputs, generator)
        batch = replace(batch, inputs=inputs, rows=None, teacher_logits=None)
        if not augment.keeps_labels:  # e.g. mixtures of several rows
            batch = replace(batch, labels=None, index=None)
    labels, logits = batch.labels, batch.teacher_logits
    return replace(
        batch,
        inputs=batch.inputs.to(device),
        labels=None if labels is None else labels.to(device),
        teacher_logits=None if logits is None else logits.to(device),
    )


def distort(augment: Transfer, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return distorted copies of inputs, of their shape and device."""
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    rows = inputs.detach().cpu().flatten(1).numpy()
    made = augment.sample(rows, np.random.RandomState(seed))
    return torch.from_numpy(made).view(inputs.shape).to(inputs.device, inputs.dtype)
