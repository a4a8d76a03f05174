"""Stages of a training, and their players."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from soft_students.training.batch import Batch, Passes
from soft_students.training.selection import Keep, Score, is_best

#: Named terms of a loss, already weighted.
Terms = Mapping[str, Tensor]


@dataclass(frozen=True)
class Player:
    """Modules that are trained together, and the loss they minimise.

    Parameters
    ----------
    trains : sequence of nn.Module
        The modules whose parameters are updated; in train mode during every epoch.
    loss : callable
        Maps a batch to named, weighted terms; their sum is minimised.
    optimizer : callable, default=None
        Maps parameters to an optimiser of constant rate. None uses the settings and schedule of the
        training.
    rate : float, default=1.0
        Factor of the learning rate of these settings.
    """

    trains: Sequence[nn.Module]
    loss: Callable[[Batch], Terms]
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None
    rate: float = 1.0


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Parameters
    ----------
    name : str
        Name in the history and the progress bar.
    players : sequence of Player
        Each takes one step per batch, in this order.
    batches : sized iterable of Batch, default=None
        None takes ``course.batches()``.
    epochs : int, default=None
        None takes ``course.epochs``.
    after_epoch : callable, default=None
        Called with the epoch's number, from 0.
    selects : sequence of nn.Module, default=()
        Networks scored on the validation rows after each epoch. At the end of the stage they get
        the weights of the last epoch that `keep` accepts.
    keep : callable, default=is_best
        A rule of `soft_students.training.selection`.
    """

    name: str
    players: Sequence[Player]
    batches: Passes | None = None
    epochs: int | None = None
    after_epoch: Callable[[int], object] | None = None
    selects: Sequence[nn.Module] = ()
    keep: Keep = is_best


class Course(Protocol):
    """The rows that stages train on; `soft_students.methods.Lesson` is one.

    Attributes
    ----------
    epochs : int
        Epochs of a stage without its own number.
    device : torch.device
    generator : object
        Source of the random numbers that decide the batches. A checkpoint keeps its state by
        ``get_state()`` and ``set_state(state)``.
    """

    epochs: int
    device: torch.device
    generator: Any

    def batches(self) -> Passes:
        """Return the batches of a stage without its own."""

    def score(self, network: nn.Module) -> Score | None:
        """Return accuracy and loss on the validation rows; None without such rows."""


@dataclass(frozen=True)
class EpochReport:
    """Progress after an epoch.

    Parameters
    ----------
    stage : str
    epoch, n_epochs : int
        Epoch of the stage, counted from 1, and its number of epochs.
    terms : dict of str to float
        Mean of each weighted term over the batches; terms of one name are added over players.
    validation_accuracy, validation_loss : float or None
        Measured for the first network that the stage selects; None in stages that select none, and
        without validation rows.
    seconds : float
        Duration of the training so far, including runs before an interruption.
    """

    stage: str
    epoch: int
    n_epochs: int
    terms: dict[str, float]
    validation_accuracy: float | None
    validation_loss: float | None
    seconds: float

    def row(self) -> dict[str, Any]:
        """Return a flat row of the history."""
        return {
            "stage": self.stage,
            "epoch": self.epoch,
            **self.terms,
            "validation_accuracy": self.validation_accuracy,
            "validation_loss": self.validation_loss,
            "seconds": self.seconds,
        }
