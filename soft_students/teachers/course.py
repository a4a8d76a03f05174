"""What `train_teacher` hands to the loop: rows, and one stage per network."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.networks.prepared import Prepared
from soft_students.persistence.checkpoints import kept_random, numpy_random
from soft_students.training.batch import Batch, TrainingData
from soft_students.training.selection import Score, score, within_one_standard_error
from soft_students.training.stages import EpochReport, Player, Stage
from soft_students.transfer import Transfer


@dataclass(frozen=True)
class Epoch:
    """Progress of `train_teacher` after an epoch, for its callback.

    Parameters
    ----------
    model, n_models : int
        Network of the ensemble, counted from 1, and the number of networks.
    epoch, n_epochs : int
        Counted from 1.
    loss : float
        Mean cross-entropy of the epoch's batches, distorted and in training mode.
    validation_accuracy : float or None
    validation_loss : float or None
        None without a validation set.
    seconds : float
        Time since the training of this network began.
    """

    model: int
    n_models: int
    epoch: int
    n_epochs: int
    loss: float
    validation_accuracy: float | None
    validation_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Split:
    """Training and validation rows; targets are positions in `classes`."""

    X: np.ndarray
    targets: np.ndarray
    X_val: np.ndarray
    targets_val: np.ndarray
    classes: np.ndarray


@dataclass
class TeacherCourse:
    """Networks that are trained by labels, one after another, as the loop takes them.

    Parameters
    ----------
    split : Split
    n_models, epochs, batch_size : int
    learning_rate : float
        Peak learning rate, for the message of a training that diverges.
    augment : Transfer or None
        Distorts every batch.
    device : torch.device

    Attributes
    ----------
    model : int
        Number of the network in training, from 1.
    started : float
        Time at which its training began.
    """

    split: Split
    n_models: int
    epochs: int
    batch_size: int
    learning_rate: float
    augment: Transfer | None
    device: torch.device

    def __post_init__(self) -> None:
        for name in ("n_models", "epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"The {name!r} parameter of train_teacher must be an int >= 1. "
                    f"Got {value!r} instead."
                )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                "The 'learning_rate' parameter of train_teacher must be a number above 0. "
                f"Got {self.learning_rate!r} instead."
            )
        self.generator = self
        self.model, self.started, self._random = 0, 0.0, RandomState()

    def stages(
        self, make: Callable[[], Prepared], rng: RandomState
    ) -> Generator[Stage, None, list[tuple[Prepared, int, dict[str, float]]]]:
        """Yield a stage for each network; return the networks, their seeds and accuracies."""
        trained = []
        for model in range(1, self.n_models + 1):
            seed = int(rng.randint(np.iinfo(np.int32).max))
            torch.manual_seed(seed)
            self._random, self.model, self.started = RandomState(seed), model, time.monotonic()
            network = make().to(self.device)
            yield Stage(
                f"Teacher {model}/{self.n_models}",
                [Player([network], functools.partial(self._loss, network))],
                selects=[network],
                keep=within_one_standard_error(len(self.split.X_val)),
            )
            measured = self.score(network)
            accuracy = {} if measured is None else {"validation": measured[0]}
            trained.append((network, seed, accuracy))
        return trained

    def _loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert batch.labels is not None
        loss = F.cross_entropy(network(batch.inputs), batch.labels)
        if not torch.isfinite(loss):
            raise ValueError(
                f"The training diverged: the loss of epoch {batch.epoch + 1} is not finite. "
                f"Choose a learning_rate below {self.learning_rate:g}."
            )
        return {"loss": loss}

    def epoch_of(self, report: EpochReport) -> Epoch:
        """Return a report of the loop as callbacks of `train_teacher` take it."""
        return Epoch(
            model=self.model,
            n_models=self.n_models,
            epoch=report.epoch,
            n_epochs=report.n_epochs,
            loss=report.terms["loss"],
            validation_accuracy=report.validation_accuracy,
            validation_loss=report.validation_loss,
            seconds=time.monotonic() - self.started,
        )

    def batches(self) -> TeacherCourse:
        """Return this object: it yields the batches of a pass."""
        return self

    def __len__(self) -> int:
        return math.ceil(len(self.split.X) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Parts of nearly equal size: a last batch of one row would break batch normalisation.
        for rows in np.array_split(self._random.permutation(len(self.split.X)), len(self)):
            X = self.split.X[rows]
            if self.augment is not None:
                X = self.augment.sample(X, self._random)
            labels = torch.from_numpy(self.split.targets[rows])
            yield Batch(torch.from_numpy(X).to(self.device), labels.to(self.device), None)

    def get_state(self) -> list[Any]:
        """Return the state of the random numbers, for a checkpoint."""
        return kept_random(self._random)

    def set_state(self, state: list[Any]) -> None:
        """Go back to a state of the random numbers."""
        self._random.set_state(numpy_random(state))

    def score(self, network: nn.Module) -> Score | None:
        """Return accuracy and mean cross-entropy on the validation rows, if there are any."""
        if not len(self.split.X_val):
            return None
        X, targets = torch.from_numpy(self.split.X_val), torch.from_numpy(self.split.targets_val)
        return score(network, TrainingData(X, targets), self.device)
