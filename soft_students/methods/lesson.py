"""Input of a method: student, teacher, training rows and their batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.observation import Observation, observe
from soft_students.methods.teacher_outputs import TeacherOutputs
from soft_students.training.batch import (
    Batch,
    Batches,
    Passes,
    Sampler,
    Shuffled,
    StreamedBatches,
    StreamedData,
    TrainingData,
)
from soft_students.training.selection import Score, score
from soft_students.transfer import Transfer


@dataclass
class Lesson:
    """Student, teacher, data and settings of a training.

    Parameters
    ----------
    student : nn.Module
        Network from inputs to logits.
    teacher : TeacherOutputs or None
        The teacher, frozen and in eval mode.
    data : TrainingData, StreamedData or None
        None for methods that take no data.
    epochs, batch_size, n_classes : int
    input_shape : tuple of int
    generator : torch.Generator
        Generator on the CPU for all randomness except initial weights and dropout, which use
        torch's default generator.
    make_student : callable
        Returns another student of the same architecture, with new initial weights.
    device : torch.device
    augment : Transfer or None
        Distorts the inputs of each batch.
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
            None shuffles. Any other sampler needs the rows in memory.
        augment : bool, default=True
            Whether to apply the lesson's distortions.
        """
        how = (self.generator, self.device, self.augment if augment else None, self.share)
        if sampler is None and not isinstance(self.data, TrainingData | None):
            return StreamedBatches(self.data, self.batch_size, *how)
        data = self.training_data()
        return Batches(data, sampler or Shuffled(len(data), self.batch_size, data.weights), *how)

    def training_data(self) -> TrainingData:
        """Return the rows in memory; raise ValueError if there are none."""
        if self.data is None:
            raise ValueError("This method needs training rows, but X is None.")
        if not isinstance(self.data, TrainingData):
            raise ValueError(
                "This method needs all training rows in memory, but they are read during training. "
                "Use another method, such as 'kd', or pass fewer rows as an array."
            )
        return self.data

    def labels(self) -> Tensor:
        """Return the true classes of all rows; without labels, the teacher's predictions."""
        data = self.training_data()
        if data.labels is not None:
            return data.labels
        assert self.teacher is not None
        return self.teacher.all_logits(data.inputs).argmax(1).cpu()

    def example(self, n: int = 2) -> Tensor:
        """Return a few inputs, to find shapes."""
        if self.data is None:
            return torch.zeros(n, *self.input_shape, device=self.device)
        return self.data.example(n).to(self.device)

    def share_of_epochs(self, share: float) -> int:
        """Return a share of the epochs, at least one, for a stage before the main one."""
        return max(1, round(share * self.epochs))

    def label_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy to the labels, or without labels to the teacher.

        The teacher's probabilities are then taken at temperature one.
        """
        if batch.labels is not None:
            return F.cross_entropy(logits, batch.labels)
        assert self.teacher is not None
        return F.cross_entropy(logits, self.teacher.logits(batch).softmax(1))

    def score(self, network: nn.Module) -> Score | None:
        """Return accuracy and mean cross-entropy on the validation rows; None without labels."""
        return score(network, self.validation, self.device)


@dataclass(frozen=True)
class Step:
    """One batch, with the outputs of student and teacher.

    Parameters
    ----------
    batch : Batch
    student : Observation
        Logits and features of the network in training, with gradients.
    teacher : Observation or None
        Logits and features of the teacher, without gradients; None if no method needs a teacher.
    network : nn.Module
        The network in training: the student, or one of several peers.
    lesson : Lesson
    """

    batch: Batch
    student: Observation
    teacher: Observation | None
    network: nn.Module
    lesson: Lesson

    def see(self, inputs: Tensor) -> Tensor:
        """Return the logits of the network in training for other inputs."""
        return observe(self.network, inputs).logits
