"""The one loop that trains networks, of teachers and of every method.

What is trained is a generator of stages, and the loop does this::

    for stage in stages:
        for epoch in range(stage.epochs):
            for batch in stage.batches:
                for player in stage.players:
                    loss = sum(player.loss(batch).values())  # weighted terms, logged by name
                    step the parameters of player.trains
            stage.after_epoch(epoch)
        load the weights of the epoch that is kept into each of stage.selects

Code between two yields of the generator runs between the two stages: freeze a module, start
another from what the first stage has learnt.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from soft_students.persistence.checkpoints import Checkpoint
from soft_students.training.batch import Batch, Passes
from soft_students.training.optimization import OptimizerSettings
from soft_students.training.selection import Keep, Score, better, is_best

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Named terms of a loss, already weighted.
Terms = Mapping[str, Tensor]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Player:
    """Modules that move together, and the loss that moves them.

    Parameters
    ----------
    trains : sequence of nn.Module
        Their parameters are stepped; they are in train mode during every epoch.
    loss : callable
        Maps a batch to named terms, already weighted; their sum is minimised.
    optimizer : callable, default=None
        Maps parameters to an optimiser of constant rate. None takes the settings of the training,
        with their schedule.
    rate : float, default=1.0
        Factor of the learning rate of these settings.
    """

    trains: Sequence[nn.Module]
    loss: Callable[[Batch], Terms]
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None
    rate: float = 1.0


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Parameters
    ----------
    name : str
        For the history and the progress bar.
    players : sequence of Player
        They step in turn on every batch.
    batches : sized iterable of Batch, default=None
        None takes ``course.batches()``.
    epochs : int, default=None
        None takes ``course.epochs``.
    after_epoch : callable, default=None
        Called with the number of the epoch, from 0.
    selects : sequence of nn.Module, default=()
        Networks that are measured on the validation rows after each epoch; at the end of the stage
        they get the weights of the last epoch that `keep` accepts.
    keep : callable, default=is_best
        One of `soft_students.training.selection`.
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


class Alone:
    """Stands in for `Fabric` in one process at full precision; importing that takes a second."""

    is_global_zero = True

    def setup_optimizers(self, optimizer: Optimizer) -> Optimizer:
        """Return the optimiser itself."""
        return optimizer

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        loss.backward()


@dataclass(frozen=True)
class EpochReport:
    """Progress after an epoch.

    Parameters
    ----------
    stage : str
    epoch, n_epochs : int
        Epoch of the stage, counted from 1, and how many it has.
    terms : dict of str to float
        Mean of each weighted term over the batches; terms of one name are added over players.
    validation_accuracy, validation_loss : float or None
        Measured for the first network that the stage selects; None in stages that select none, and
        without validation rows.
    seconds : float
        Duration of the training so far, including what came before an interruption.
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


@dataclass
class _Best:
    """The best score, and the weights to keep, of each network that a stage selects."""

    scores: list[Score | None]
    states: list[dict[str, Tensor] | None]


@dataclass
class _Running:
    """A stage in training: everything that changes while it runs."""

    stage: Stage
    modules: list[nn.Module]
    optimizers: list[Any]
    schedules: list[Any]
    best: _Best
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def run_stages(
    stages: Generator[Stage, None, _Result],
    course: Course,
    settings: OptimizerSettings,
    fabric: Fabric | Alone,
    *,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[EpochReport], object] | None = None,
    on_batch: Callable[[Mapping[str, float], str, int, int], object] | None = None,
    on_network: Callable[[int, nn.Module], object] | None = None,
) -> tuple[_Result, list[dict[str, Any]]]:
    """Train stage after stage.

    Parameters
    ----------
    stages : generator of Stage
    course : Course
    settings : OptimizerSettings
        For players without an optimiser of their own.
    fabric : lightning_fabric.Fabric or Alone
        Precision and processes.
    checkpoint : Checkpoint, default=None
        Keeps the state after each epoch; the training resumes from it.
    on_epoch, on_batch : callable, default=None
        Called with an `EpochReport` after each epoch; and after each batch with its terms, the
        name of the stage, the number of the batch and the number of batches of the stage.
    on_network : callable, default=None
        Called with an epoch and the first network that the stage selects: before the first epoch
        (0) and after each.

    Returns
    -------
    result : object
        The value that the generator returned.
    history : list of dict
        One row per epoch, of all stages.

    Raises
    ------
    FloatingPointError
        If a term stops being finite; the message names it. The checkpoint still holds the last
        whole epoch.
    """
    history: list[dict[str, Any]] = []
    started = time.monotonic()
    before = 0.0 if checkpoint is None else checkpoint.seconds

    def elapsed() -> float:
        return before + time.monotonic() - started

    number = 0
    while True:
        try:
            stage = next(stages)
        except StopIteration as end:
            return end.value, history
        running = _begin(stage, course, settings, fabric)
        done = None if checkpoint is None else checkpoint.take(number)
        if done is not None:
            _restore(running, done, course)
            history.extend(done["history"])
        n_epochs = course.epochs if stage.epochs is None else stage.epochs
        if running.epoch == 0:
            _show(stage, 0, on_network)
        while running.epoch < n_epochs:
            terms = _one_epoch(running, course, fabric, n_epochs, on_batch)
            accuracy, loss = _select(running, course) or (None, None)
            running.epoch += 1
            _show(stage, running.epoch, on_network)
            report = EpochReport(
                stage.name, running.epoch, n_epochs, terms, accuracy, loss, elapsed()
            )
            history.append(report.row())
            running.history.append(history[-1])
            if on_epoch is not None:
                on_epoch(report)
            if checkpoint is not None and fabric.is_global_zero:
                state = functools.partial(_state, running, course)
                if running.epoch == n_epochs:  # the state of the next stage goes beside it
                    checkpoint.write(number, state(), elapsed())
                else:
                    checkpoint.write_if_due(number, state, elapsed())
        for module, kept in zip(stage.selects, running.best.states, strict=True):
            if kept is not None:
                module.load_state_dict(kept)
        number += 1


def _show(stage: Stage, epoch: int, on_network: Callable[[int, nn.Module], object] | None) -> None:
    if on_network is not None and stage.selects:
        on_network(epoch, stage.selects[0])


def _begin(
    stage: Stage, course: Course, settings: OptimizerSettings, fabric: Fabric | Alone
) -> _Running:
    n_epochs = course.epochs if stage.epochs is None else stage.epochs
    n_steps = n_epochs * len(stage.batches or course.batches())
    modules: list[nn.Module] = []
    optimizers, schedules = [], []
    for player in stage.players:
        modules += [module for module in player.trains if not any(module is m for m in modules)]
        for module in player.trains:
            module.to(course.device)
        parameters = _parameters(player)
        if player.optimizer is None:
            optimizer, schedule = settings.make(parameters, n_steps, player.rate)
        else:
            optimizer, schedule = player.optimizer(parameters), None
        optimizers.append(fabric.setup_optimizers(optimizer))
        schedules.append(schedule)
    modules += [m for m in stage.selects if not any(m is other for other in modules)]
    best = _Best([None] * len(stage.selects), [None] * len(stage.selects))
    return _Running(stage, modules, optimizers, schedules, best)


def _parameters(player: Player) -> list[nn.Parameter]:
    found = {id(p): p for module in player.trains for p in module.parameters()}
    parameters = [p for p in found.values() if p.requires_grad]
    if not parameters:
        raise ValueError("A player has no parameters to train: its modules are frozen or empty.")
    return parameters


def _one_epoch(
    running: _Running,
    course: Course,
    fabric: Fabric | Alone,
    n_epochs: int,
    on_batch: Callable[[Mapping[str, float], str, int, int], object] | None,
) -> dict[str, float]:
    stage = running.stage
    batches = stage.batches or course.batches()
    n_batches = len(batches)
    totals: dict[str, float] = {}
    # Validation, and methods that look at shapes, may have left eval mode behind.
    for player in stage.players:
        for module in player.trains:
            module.train()
    for number, batch in enumerate(batches):
        done = running.epoch * n_batches + number
        batch = replace(batch, progress=done / (n_epochs * n_batches), epoch=running.epoch)
        shown: dict[str, float] = {}
        for player, optimizer, schedule in zip(
            stage.players, running.optimizers, running.schedules, strict=True
        ):
            values = _step(player, optimizer, batch, fabric, stage, number)
            if schedule is not None:
                schedule.step()
            for name, value in values.items():
                shown[name] = shown.get(name, 0.0) + value
        for name, value in shown.items():
            totals[name] = totals.get(name, 0.0) + value / n_batches
        if on_batch is not None:
            on_batch(shown, stage.name, done + 1, n_epochs * n_batches)
    if stage.after_epoch is not None:
        stage.after_epoch(running.epoch)
    return totals


def _step(
    player: Player, optimizer: Any, batch: Batch, fabric: Fabric | Alone, stage: Stage, number: int
) -> dict[str, float]:
    with fabric.autocast():
        terms = player.loss(batch)
        if not terms:
            raise ValueError(f"The stage {stage.name!r} has no loss: its methods give no terms.")
        total = torch.stack([term.float() for term in terms.values()]).sum()
    values = {name: float(term.detach()) for name, term in terms.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"The term {name!r} of the loss is {value} at batch {number + 1} of epoch "
                f"{batch.epoch + 1} in the stage {stage.name!r}. Lower learning_rate or the "
                "weight of the term, or check X for extreme values."
            )
    optimizer.zero_grad()
    fabric.backward(total * batch.weight)
    if not isinstance(fabric, Alone) and fabric.world_size > 1:
        _average_gradients(player, fabric)
    optimizer.step()
    return values


def _average_gradients(player: Player, fabric: Fabric) -> None:
    """Give all processes the mean of their gradients, in one exchange.

    Done here, and not by a wrapper around each network, since methods call parts of networks.
    """
    gradients = [p.grad for p in _parameters(player) if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    mean = cast(Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    parts = mean.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _select(running: _Running, course: Course) -> Score | None:
    """Measure the networks that the stage selects; keep their weights if they are good enough."""
    first = None
    for i, module in enumerate(running.stage.selects):
        score = course.score(module)
        if i == 0:
            first = score
        if score is None:
            continue
        best = better(score, running.best.scores[i])
        running.best.scores[i] = best
        if running.stage.keep(score, best):
            running.best.states[i] = copy.deepcopy(module.state_dict())
    return first


def _state(running: _Running, course: Course) -> dict[str, Any]:
    """Return all that changes while a stage runs, as tensors and plain values."""
    return {
        "epoch": running.epoch,
        "modules": [module.state_dict() for module in running.modules],
        "optimizers": [optimizer.state_dict() for optimizer in running.optimizers],
        "schedules": [None if s is None else s.state_dict() for s in running.schedules],
        "best_scores": [None if s is None else list(s) for s in running.best.scores],
        "best_states": running.best.states,
        "torch_random": torch.get_rng_state(),
        "random": course.generator.get_state(),
        "history": running.history,
    }


def _restore(running: _Running, state: dict[str, Any], course: Course) -> None:
    for key in ("modules", "optimizers", "schedules"):
        if len(state[key]) != len(getattr(running, key)):
            raise ValueError(
                "The checkpoint is of another method. Use another checkpoint file, or resume=False."
            )
    for module, kept in zip(running.modules, state["modules"], strict=True):
        module.load_state_dict(kept)
    for optimizer, kept in zip(running.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    for schedule, kept in zip(running.schedules, state["schedules"], strict=True):
        if schedule is not None:
            schedule.load_state_dict(kept)
    scores = state["best_scores"]
    running.best.scores = [None if s is None else (s[0], s[1]) for s in scores]
    running.best.states = state["best_states"]
    running.epoch = state["epoch"]
    running.history = list(state["history"])
    torch.set_rng_state(state["torch_random"])
    course.generator.set_state(state["random"])
