"""What a method is given: who learns what, from whom, on which batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.observe import Observation, evaluating, observe
from soft_students.methods.samplers import Sampler, Shuffled
from soft_students.methods.teacher_outputs import TeacherOutputs
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
    """

    inputs: Tensor
    labels: Tensor | None
    rows: Tensor | None
    progress: float = 0.0
    epoch: int = 0
    index: Tensor | None = None


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
        process, n_processes = self._share
        for rows in self._sampler.batches(self._generator):
            rows = rows[..., process::n_processes].flatten()
            inputs = self._data.inputs[rows]
            labels = None if self._data.labels is None else self._data.labels[rows].to(self._device)
            if self._augment is None:
                yield Batch(inputs.to(self._device), labels, rows, index=rows)
            else:
                distorted = distort(self._augment, inputs, self._generator).to(self._device)
                if self._augment.keeps_labels:
                    yield Batch(distorted, labels, None, index=rows)
                else:  # mixtures, say, are of no one row
                    yield Batch(distorted, None, None)


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


def distort(augment: Transfer, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return distorted copies of inputs, of their shape and device."""
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    rows = inputs.detach().cpu().flatten(1).numpy()
    made = augment.sample(rows, np.random.RandomState(seed))
    return torch.from_numpy(made).view(inputs.shape).to(inputs.device, inputs.dtype)


@dataclass
class Lesson:
    """Who learns what from whom.

    Parameters
    ----------
    student : nn.Module
        From inputs to logits.
    teacher : TeacherOutputs or None
        Frozen, and in eval mode.
    data : TrainingData or None
        None for methods that take no data.
    epochs, batch_size, n_classes : int
    input_shape : tuple of int
    generator : torch.Generator
        On the CPU; of everything random but initial weights and dropout, which use torch's own.
    make_student : callable
        Returns another student of the same architecture, with fresh weights.
    device : torch.device
    augment : Transfer or None
        Distorts the inputs of each batch. Methods that need distortions, and find none here, say
        so.
    validation : TrainingData or None
        Held-out rows.
    input_range : tuple of float
        Smallest and largest value of the inputs; (0, 1) without data.
    share : tuple of int
        (process, number of processes).
    """

    student: nn.Module
    teacher: TeacherOutputs | None
    data: TrainingData | None
    epochs: int
    batch_size: int
    n_classes: int
    input_shape: tuple[int, ...]
    generator: torch.Generator
    make_student: Callable[[], nn.Module]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    augment: Transfer | None = None
    validation: TrainingData | None = None
    input_range: tuple[float, float] = (0.0, 1.0)
    share: tuple[int, int] = (0, 1)

    def batches(self, sampler: Sampler | None = None, *, augment: bool = True) -> Batches:
        """Return the training rows in batches.

        Parameters
        ----------
        sampler : Sampler, default=None
            None shuffles.
        augment : bool, default=True
            Whether the lesson's distortions are applied.
        """
        data = self.training_data()
        return Batches(
            data,
            sampler or Shuffled(len(data), self.batch_size),
            self.generator,
            self.device,
            self.augment if augment else None,
            self.share,
        )

    def training_data(self) -> TrainingData:
        """Return the rows, or say that there are none."""
        if self.data is None:
            raise ValueError("This method needs training rows, but X is None.")
        return self.data

    def labels(self) -> Tensor:
        """Return the true classes of all rows; without them, the teacher's choices."""
        data = self.training_data()
        if data.labels is not None:
            return data.labels
        assert self.teacher is not None  # nobody else could say
        return self.teacher.all_logits(data.inputs).argmax(1).cpu()

    def example(self, n: int = 2) -> Tensor:
        """Return a few inputs, to learn shapes from."""
        if self.data is None:
            return torch.zeros(n, *self.input_shape, device=self.device)
        rows = torch.arange(n) % len(self.data)
        return self.data.inputs[rows].to(self.device)

    def share_of_epochs(self, share: float) -> int:
        """Return a share of the epochs, one at least, for a stage before the main one."""
        return max(1, round(share * self.epochs))

    def label_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy to the true labels.

        Without labels the teacher's probabilities, at temperature one, take their place.
        """
        if batch.labels is not None:
            return F.cross_entropy(logits, batch.labels)
        assert self.teacher is not None
        return F.cross_entropy(logits, self.teacher.logits(batch).softmax(1))

    @torch.no_grad()
    def predict(self, network: nn.Module, inputs: Tensor, batch_size: int = 512) -> Tensor:
        """Return a network's logits in eval mode, on the CPU."""
        with evaluating(network):
            parts = [network(part.to(self.device)).cpu() for part in inputs.split(batch_size)]
        return torch.cat(parts)

    def score(self, network: nn.Module) -> tuple[float, float] | None:
        """Return accuracy and mean cross-entropy on the validation rows, if there are any."""
        if self.validation is None or self.validation.labels is None:
            return None
        logits = self.predict(network, self.validation.inputs).float()
        labels = self.validation.labels
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        return accuracy, F.cross_entropy(logits, labels).item()


@dataclass(frozen=True)
class Step:
    """One batch as student and teacher saw it.

    Parameters
    ----------
    batch : Batch
    student : Observation
        With gradients.
    teacher : Observation or None
        Without gradients; None if the method needs no teacher.
    network : nn.Module
        The network that learns: the student, or one of several peers.
    lesson : Lesson
    """

    batch: Batch
    student: Observation
    teacher: Observation | None
    network: nn.Module
    lesson: Lesson

    def see(self, inputs: Tensor) -> Tensor:
        """Return the logits of the network that learns for other inputs."""
        return observe(self.network, inputs).logits
