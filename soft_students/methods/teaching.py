"""The loop that trains any method; it knows none by name."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from soft_students.methods.base import Combination, Method, Player, Stage
from soft_students.methods.batch import Batch
from soft_students.methods.lesson import Lesson
from soft_students.methods.optimization import OptimizerSettings
from soft_students.persistence.checkpoints import Checkpoint


@dataclass(frozen=True)
class EpochReport:
    """What is known after an epoch.

    Parameters
    ----------
    stage : str
    epoch, n_epochs : int
        Of the stage, counted from 1.
    terms : dict of str to float
        Mean of each weighted term over the batches; of several players, the sum of equal names.
    validation_accuracy, validation_loss : float or None
        Of the first network that the stage selects; None in stages that select none, and without
        validation rows.
    seconds : float
        Since the training began; over interruptions.
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
    """The best epoch so far of each network that a stage selects."""

    scores: list[tuple[float, float] | None]
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


def teach(
    method: Method,
    lesson: Lesson,
    settings: OptimizerSettings,
    fabric: Fabric,
    *,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[EpochReport], object] | None = None,
    on_batch: Callable[[Mapping[str, float], str, int, int], object] | None = None,
    on_network: Callable[[int, nn.Module], object] | None = None,
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Train by a method.

    Parameters
    ----------
    method : Method
    lesson : Lesson
    settings : OptimizerSettings
        For players without an optimiser of their own.
    fabric : lightning_fabric.Fabric
        Device, precision and processes.
    checkpoint : Checkpoint, default=None
        Where to keep the state after each epoch, and to resume from.
    on_epoch, on_batch : callable, default=None
        Told of progress: an `EpochReport`; or the terms of a batch, the stage's name, the batch
        and the number of batches of the stage.
    on_network : callable, default=None
        Shown the first network that a stage selects, before its first epoch (0) and after each.

    Returns
    -------
    network : nn.Module
        The one that predicts.
    history : list of dict
        One row an epoch, of all stages.

    Raises
    ------
    FloatingPointError
        If a term stops being finite; the message names it, and the checkpoint of the last whole
        epoch stays.
    """
    history: list[dict[str, Any]] = []
    started = time.monotonic()
    before = 0.0 if checkpoint is None else checkpoint.seconds
    if not isinstance(method, Combination):
        method = Combination([method])
    method.check(lesson)

    def report(epoch_report: EpochReport) -> None:
        history.append(epoch_report.row())
        if on_epoch is not None:
            on_epoch(epoch_report)

    def elapsed() -> float:
        return before + time.monotonic() - started

    stages = method.stages(lesson)
    number = 0
    while True:
        try:
            stage = next(stages)
        except StopIteration as end:
            network = end.value
            break
        running = _begin(stage, lesson, settings, fabric)
        done = None if checkpoint is None else checkpoint.take(number)
        if done is not None:
            _restore(running, done, lesson)
            history.extend(done["history"])
        n_epochs = lesson.epochs if stage.epochs is None else stage.epochs
        if running.epoch == 0:
            _show(stage, 0, on_network)
        while running.epoch < n_epochs:
            terms = _one_epoch(running, lesson, fabric, n_epochs, on_batch)
            score = _select(running, lesson)
            running.epoch += 1
            _show(stage, running.epoch, on_network)
            accuracy, loss = score or (None, None)
            report(
                EpochReport(stage.name, running.epoch, n_epochs, terms, accuracy, loss, elapsed())
            )
            running.history.append(history[-1])
            if checkpoint is not None and fabric.is_global_zero:
                checkpoint.write(number, _state(running, lesson), elapsed())
        for module, state in zip(stage.selects, running.best.states, strict=True):
            if state is not None:
                module.load_state_dict(state)
        number += 1
    return network, history


def _show(stage: Stage, epoch: int, on_network: Callable[[int, nn.Module], object] | None) -> None:
    if on_network is not None and stage.selects:
        on_network(epoch, stage.selects[0])


def _begin(stage: Stage, lesson: Lesson, settings: OptimizerSettings, fabric: Fabric) -> _Running:
    n_epochs = lesson.epochs if stage.epochs is None else stage.epochs
    n_steps = n_epochs * len(stage.batches or lesson.batches())
    modules: list[nn.Module] = []
    optimizers, schedules = [], []
    for player in stage.players:
        modules += [module for module in player.trains if not any(module is m for m in modules)]
        for module in player.trains:
            module.to(lesson.device)
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
    lesson: Lesson,
    fabric: Fabric,
    n_epochs: int,
    on_batch: Callable[[Mapping[str, float], str, int, int], object] | None,
) -> dict[str, float]:
    stage = running.stage
    batches = stage.batches or lesson.batches()
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
    player: Player, optimizer: Any, batch: Batch, fabric: Fabric, stage: Stage, number: int
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
    if fabric.world_size > 1:
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


def _select(running: _Running, lesson: Lesson) -> tuple[float, float] | None:
    """Measure the networks that the stage selects; remember those that are the best so far."""
    first = None
    for i, module in enumerate(running.stage.selects):
        score = lesson.score(module)
        if i == 0:
            first = score
        if score is None:
            continue
        so_far = running.best.scores[i]
        # Of equally accurate epochs the one of lower loss: few rows make many ties.
        if so_far is None or (score[0], -score[1]) >= (so_far[0], -so_far[1]):
            running.best.scores[i] = score
            running.best.states[i] = copy.deepcopy(module.state_dict())
    return first


def _state(running: _Running, lesson: Lesson) -> dict[str, Any]:
    """Return all that changes while a stage runs, as tensors and plain values."""
    return {
        "epoch": running.epoch,
        "modules": [module.state_dict() for module in running.modules],
        "optimizers": [optimizer.state_dict() for optimizer in running.optimizers],
        "schedules": [None if s is None else s.state_dict() for s in running.schedules],
        "best_scores": [None if s is None else list(s) for s in running.best.scores],
        "best_states": running.best.states,
        "torch_random": torch.get_rng_state(),
        "random": lesson.generator.get_state(),
        "history": running.history,
    }


def _restore(running: _Running, state: dict[str, Any], lesson: Lesson) -> None:
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
    lesson.generator.set_state(state["random"])
