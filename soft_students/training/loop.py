"""The training loop of teachers and of all distillation methods.

A training is a generator of stages, which the loop runs as follows::

    for stage in stages:
        for epoch in range(stage.epochs):
            for batch in stage.batches:
                for player in stage.players:
                    loss = sum(player.loss(batch).values())  # weighted terms, logged by name
                    step the parameters of player.trains
            stage.after_epoch(epoch)
        load the weights of the selected epoch into each of stage.selects

Code between two yields of the generator runs between the two stages. It may freeze a module, or
initialise one from the result of the first stage.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from soft_students.persistence.checkpoints import Checkpoint
from soft_students.progress import progress_bar
from soft_students.training.batch import Batch, Passes
from soft_students.training.optimization import OptimizerSettings
from soft_students.training.selection import Score, better
from soft_students.training.stages import Course, EpochReport, Player, Stage

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_Result = TypeVar("_Result")


class Alone:
    """Substitute for `Fabric` in one process at full precision; its import takes a second."""

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


@dataclass
class _Best:
    """The best score, and the weights to keep, of each network that a stage selects."""

    scores: list[Score | None]
    states: list[dict[str, Tensor] | None]


@dataclass
class _Running:
    """The state of a stage in training."""

    stage: Stage
    batches: Passes
    n_epochs: int
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
    on_network: Callable[[int, nn.Module], object] | None = None,
    verbose: bool = False,
) -> tuple[_Result, list[dict[str, Any]]]:
    """Run the stages of a training in order; return its result and history.

    Parameters
    ----------
    stages : generator of Stage
    course : Course
    settings : OptimizerSettings
        Optimiser settings of players without their own optimiser.
    fabric : lightning_fabric.Fabric or Alone
        Precision and processes.
    checkpoint : Checkpoint, default=None
        Stores the state after each epoch; the training resumes from it.
    on_epoch : callable, default=None
        Called with an `EpochReport` after each epoch.
    on_network : callable, default=None
        Called with an epoch and the first network that the stage selects: before the first epoch
        (0) and after each.
    verbose : bool, default=False
        Show a progress bar on standard error, if that is a terminal.

    Returns
    -------
    result : object
        The value that the generator returned.
    history : list of dict
        One row per epoch, of all stages.

    Raises
    ------
    FloatingPointError
        If a loss term is not finite; the message names it. The checkpoint keeps the last complete
        epoch.
    """
    history: list[dict[str, Any]] = []
    started = time.monotonic()
    before = 0.0 if checkpoint is None else checkpoint.seconds

    def elapsed() -> float:
        return before + time.monotonic() - started

    with progress_bar(shown=verbose and fabric.is_global_zero) as bar:
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
            if running.epoch == 0:
                _show(stage, 0, on_network)
            for task in bar.task_ids:
                bar.remove_task(task)
            task = bar.add_task(stage.name, total=running.n_epochs * len(running.batches))
            while running.epoch < running.n_epochs:
                terms = _one_epoch(running, fabric, functools.partial(bar.update, task))
                accuracy, loss = _select(running, course) or (None, None)
                running.epoch += 1
                _show(stage, running.epoch, on_network)
                report = EpochReport(
                    stage.name, running.epoch, running.n_epochs, terms, accuracy, loss, elapsed()
                )
                history.append(report.row())
                running.history.append(history[-1])
                if on_epoch is not None:
                    on_epoch(report)
                if checkpoint is not None and fabric.is_global_zero:
                    state = functools.partial(_state, running, course)
                    checkpoint.write_if_due(number, state, elapsed())
                    if running.epoch == running.n_epochs:
                        checkpoint.keep(number, state())
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
    batches = course.batches() if stage.batches is None else stage.batches
    n_steps = n_epochs * len(batches)
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
    return _Running(stage, batches, n_epochs, modules, optimizers, schedules, best)


def _parameters(player: Player) -> list[nn.Parameter]:
    found = {id(p): p for module in player.trains for p in module.parameters()}
    parameters = [p for p in found.values() if p.requires_grad]
    if not parameters:
        raise ValueError("A player has no parameters to train: its modules are frozen or empty.")
    return parameters


def _one_epoch(
    running: _Running, fabric: Fabric | Alone, update: Callable[..., None]
) -> dict[str, float]:
    stage, n_epochs = running.stage, running.n_epochs
    n_batches = len(running.batches)
    totals: dict[str, float] = {}
    # validation, or a method's check of shapes, may have left modules in eval mode
    for player in stage.players:
        for module in player.trains:
            module.train()
    for number, batch in enumerate(running.batches):
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
        update(description=_describe(running, shown), completed=done + 1)
    if stage.after_epoch is not None:
        stage.after_epoch(running.epoch)
    return totals


def _describe(running: _Running, terms: Mapping[str, float]) -> str:
    losses = " ".join(f"{name} {value:.3g}" for name, value in terms.items())
    text = f"{running.stage.name}, epoch {running.epoch + 1}/{running.n_epochs}: {losses}"
    accuracy = running.history[-1]["validation_accuracy"] if running.history else None
    return text if accuracy is None else f"{text}, {accuracy:.2%} on validation rows"


def _step(
    player: Player, optimizer: Any, batch: Batch, fabric: Fabric | Alone, stage: Stage, number: int
) -> dict[str, float]:
    with fabric.autocast():
        terms = player.loss(batch)
        if not terms:
            raise ValueError(
                f"The stage {stage.name!r} has no loss: its methods return no terms. Combine them "
                "with another method, such as 'kd'."
            )
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
    """Average the gradients over all processes, in one exchange.

    A wrapper around each network would miss methods that call parts of networks.
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
    """Return the changing state of a stage, as tensors and plain values."""
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
                "The checkpoint belongs to another method. Use another checkpoint file, or set "
                "resume=False."
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
