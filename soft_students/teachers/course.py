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

from soft_students.networks import Recipe
from soft_students.networks.prepared import Prepared
from soft_students.persistence.checkpoints import kept_random, numpy_random
from soft_students.training.batch import Batch, TrainingData
from soft_students.training.loop import Player, Stage
from soft_students.training.optimization import OptimizerSettings
from soft_students.training.selection import Score, score, within_one_standard_error
from soft_students.transfer import Transfer


@dataclass(frozen=True)
class Split:
    """Training and validation rows; targets are positions in `classes`."""

    X: np.ndarray
    targets: np.ndarray
    X_val: np.ndarray
    targets_val: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class TeacherSettings:
    """How every network is trained."""

    n_models: int
    epochs: int
    batch_size: int
    optimizer: OptimizerSettings
    augment: Transfer | None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        n_rows: int,
        n_models: int,
        epochs: int | None,
        batch_size: int | None,
        learning_rate: float | None,
        augment: Transfer | None,
    ) -> TeacherSettings:
        """Return the settings of a recipe, with those of `train_teacher` that are given."""
        rate = recipe.learning_rate if learning_rate is None else learning_rate
        settings = cls(
            n_models=n_models,
            epochs=recipe.epochs(n_rows) if epochs is None else epochs,
            batch_size=recipe.batch_size(n_rows) if batch_size is None else batch_size,
            optimizer=OptimizerSettings("adamw", rate, recipe.weight_decay),
            augment=augment,
        )
        for name in ("n_models", "epochs", "batch_size"):
            value = getattr(settings, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"The {name!r} parameter of train_teacher must be an int >= 1. "
                    f"Got {value!r} instead."
                )
        if not 0 < rate < math.inf:
            raise ValueError(
                "The 'learning_rate' parameter of train_teacher must be a number above 0. "
                f"Got {rate!r} instead."
            )
        return settings


class TeacherCourse:
    """The `Course` of one or several networks that are trained by labels, one after another.

    Batches follow a numpy `RandomState`.

    Attributes
    ----------
    model : int
        Number of the network in training, from 1.
    started : float
        Time at which its training began.
    """

    def __init__(self, split: Split, settings: TeacherSettings, device: torch.device) -> None:
        self.settings = settings
        self.epochs = settings.epochs
        self.device = device
        self.generator = self
        self.model = 0
        self.started = time.monotonic()
        self._split = split
        self._random = RandomState()
        self._validation = None
        if len(split.X_val):
            self._validation = TrainingData(
                torch.from_numpy(split.X_val), torch.from_numpy(split.targets_val)
            )

    def stages(
        self, make: Callable[[], Prepared], rng: RandomState
    ) -> Generator[Stage, None, list[tuple[Prepared, int, dict[str, float]]]]:
        """Yield a stage for each network; return the networks, their seeds and accuracies."""
        trained = []
        for model in range(1, self.settings.n_models + 1):
            seed = int(rng.randint(np.iinfo(np.int32).max))
            torch.manual_seed(seed)
            self._random, self.model, self.started = RandomState(seed), model, time.monotonic()
            network = make().to(self.device)
            yield Stage(
                f"Teacher {model}/{self.settings.n_models}",
                [Player([network], functools.partial(self._loss, network))],
                selects=[network],
                keep=within_one_standard_error(len(self._split.X_val)),
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
                f"Choose a learning_rate below {self.settings.optimizer.learning_rate:g}."
            )
        return {"loss": loss}

    def batches(self) -> TeacherCourse:
        """Return this object: it yields the batches of a pass."""
        return self

    def __len__(self) -> int:
        return math.ceil(len(self._split.X) / self.settings.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Parts of nearly equal size: a last batch of one row would break batch normalisation.
        for rows in np.array_split(self._random.permutation(len(self._split.X)), len(self)):
            X = self._split.X[rows]
            if self.settings.augment is not None:
                X = self.settings.augment.sample(X, self._random)
            labels = torch.from_numpy(self._split.targets[rows])
            yield Batch(torch.from_numpy(X).to(self.device), labels.to(self.device), None)

    def get_state(self) -> list[Any]:
        """Return the state of the random numbers, for a checkpoint."""
        return kept_random(self._random)

    def set_state(self, state: list[Any]) -> None:
        """Go back to a state of the random numbers."""
        self._random.set_state(numpy_random(state))

    def score(self, network: nn.Module) -> Score | None:
        """Return accuracy and mean cross-entropy on the validation rows, if there are any."""
        return score(network, self._validation, self.device)
