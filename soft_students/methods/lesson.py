"""What a method is given: who learns what, from whom, on which batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.batch import (
    Batch,
    Batches,
    Passes,
    StreamedBatches,
    StreamedData,
    TrainingData,
)
from soft_students.methods.observe import Observation, evaluating, observe
from soft_students.methods.samplers import Sampler, Shuffled
from soft_students.methods.teacher_outputs import TeacherOutputs
from soft_students.transfer import Transfer


@dataclass
class Lesson:
    """Who learns what from whom.

    Parameters
    ----------
    student : nn.Module
        From inputs to logits.
    teacher : TeacherOutputs or None
        Frozen, and in eval mode.
    data : TrainingData, StreamedData or None
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
    data: TrainingData | StreamedData | None
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

    def batches(self, sampler: Sampler | None = None, *, augment: bool = True) -> Passes:
        """Return the training rows in batches.

        Parameters
        ----------
        sampler : Sampler, default=None
            None shuffles. Another one needs the rows in memory.
        augment : bool, default=True
            Whether the lesson's distortions are applied.
        """
        how = (self.generator, self.device, self.augment if augment else None, self.share)
        if sampler is None and not isinstance(self.data, TrainingData | None):
            return StreamedBatches(self.data, self.batch_size, *how)
        data = self.training_data()
        return Batches(data, sampler or Shuffled(len(data), self.batch_size), *how)

    def training_data(self) -> TrainingData:
        """Return the rows in memory, or say that there are none."""
        if self.data is None:
            raise ValueError("This method needs training rows, but X is None.")
        if not isinstance(self.data, TrainingData):
            raise ValueError(
                "This method needs all training rows in memory, and these are read as training "
                "goes on. Use another method, such as 'kd', or pass fewer rows as an array."
            )
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
        return self.data.example(n).to(self.device)

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
