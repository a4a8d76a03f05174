"""The training loop of soft trees: batches, optimiser, schedule, early stopping."""

from __future__ import annotations

import hashlib
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from soft_students.persistence.checkpoints import Checkpoint, kept_random, numpy_random
from soft_students.students.soft_tree.kernel import (
    LeafLoss,
    SharpenedPaths,
    SplitBalance,
    Total,
    TreeParameters,
    Workspace,
    alone,
    loss_and_gradients,
)

_WARM_UP = 0.25  # share of the steps in which the one-cycle schedule rises
_ANNEALING = 0.5  # share of the steps, at the end, in which β rises to its final value
_SHARPENING = 0.5  # likewise, in which path probabilities are sharpened,
_SHARPENED_SHARE = 0.5  # and the weight that their loss reaches halfway through


@dataclass
class TrainingSettings:
    """How a tree is trained; the names are those of the estimators' parameters."""

    depth: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    penalty: float
    beta: float
    beta_schedule: str
    beta_final: float
    sharpening: float
    weight_averaging: float
    device: str


class Rows(Protocol):
    """What a tree is trained on.

    Attributes
    ----------
    share : tuple of int
        (process, number of processes): each takes its part of each batch.
    """

    share: tuple[int, int]

    @property
    def n(self) -> int:
        """Rows of an epoch."""

    def batches(
        self, batch_size: int, random_state: np.random.RandomState, device: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield one epoch: rows, targets and weights that sum to one over all processes."""

    def fingerprint(self) -> str:
        """Return what tells these rows from others."""


@dataclass
class TrainingRows:
    """Rows in memory, their distorted copies below them, and what the teacher says of each.

    Parameters
    ----------
    X : Tensor of shape (n_banks * n, n_features)
        Floating, or uint8 codes of ``low + code * step``.
    targets : Tensor of shape (n_banks * n, n_outputs)
    weights : Tensor of shape (n,)
        Sample weights with mean one; a copy weighs what its original does.
    low, step : float
    share : tuple of int, default=(0, 1)
        As of `Rows`.
    """

    X: Tensor
    targets: Tensor
    weights: Tensor
    low: float = 0.0
    step: float = 1.0
    share: tuple[int, int] = (0, 1)

    @property
    def n(self) -> int:
        """Rows of an epoch."""
        return len(self.weights)

    def batches(
        self, batch_size: int, random_state: np.random.RandomState, device: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield one epoch: each row once, as itself or as one of its copies, in random order."""
        order = random_state.permutation(self.n)
        bank = len(self.X) // self.n
        rows = order + self.n * random_state.randint(bank, size=self.n) if bank > 1 else order
        dtype = self.targets.dtype
        for start in range(0, self.n, batch_size):
            batch = slice(start, start + batch_size)
            mine, n = share_of(len(order[batch]), self.share)
            index = torch.from_numpy(rows[batch][mine])
            X = self.X.index_select(0, index).to(device, dtype)
            if self.X.dtype == torch.uint8:
                X.mul_(self.step).add_(self.low)
            weights = self.weights[torch.from_numpy(order[batch][mine])] / n
            yield X, self.targets.index_select(0, index).to(device), weights.to(device)

    def fingerprint(self) -> str:
        """Return what tells these rows from others."""
        digest = hashlib.sha256(repr((self.low, self.step)).encode())
        for tensor in (self.X, self.targets, self.weights):
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


def share_of(n: int, share: tuple[int, int]) -> tuple[slice, float]:
    """Return the places in a batch of n rows that a process takes, and what divides their weights.

    A process for which there is no row takes the first, and weighs it zero: sums stay as they are.

    Parameters
    ----------
    n : int
    share : tuple of int
        (process, number of processes).
    """
    process, n_processes = share
    return (slice(process, n, n_processes), n) if process < n else (slice(0, 1), math.inf)


class Trainer:
    """Parameters, optimiser state and running averages of one tree in training.

    Parameters
    ----------
    parameters : TreeParameters
        Where to start; owned by the trainer from here on.
    leaf_loss : LeafLoss
    settings : TrainingSettings
    total : Total, default=alone
        Of the processes that train the same tree.
    """

    def __init__(
        self,
        parameters: TreeParameters,
        leaf_loss: LeafLoss,
        settings: TrainingSettings,
        total: Total = alone,
    ) -> None:
        self.parameters = parameters
        self._total = leaf_loss.total = total
        self._leaf_loss = SharpenedPaths(leaf_loss) if settings.sharpening > 1 else leaf_loss
        self._settings = settings
        weights = parameters.gate_weights
        self._balance = (
            SplitBalance(settings.depth, settings.penalty, weights, total)
            if settings.penalty > 0
            else None
        )
        undecayed = [parameters.gate_biases, parameters.leaves]
        if settings.beta_schedule == "learned" and parameters.log_betas is not None:
            undecayed.append(parameters.log_betas)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [weights], "weight_decay": settings.weight_decay},
                {"params": undecayed, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            fused=True,
        )
        self._workspace: Workspace | None = None
        self._average = parameters.copy() if settings.weight_averaging > 0 else None
        self._steps = 0

    def schedule(self, progress: float) -> None:
        """Set what changes in training for a share of it done, from 0 to 1."""
        settings = self._settings
        if progress < _WARM_UP:
            factor = 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / _WARM_UP))
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * max(factor, 1e-4)
        if settings.beta_schedule == "annealed" and self.parameters.log_betas is not None:
            done = max(0.0, 1 - (1 - progress) / _ANNEALING)
            log_beta = math.log(settings.beta) * (1 - done) + math.log(settings.beta_final) * done
            self.parameters.log_betas.fill_(log_beta)
        if isinstance(self._leaf_loss, SharpenedPaths):
            done = max(0.0, 1 - (1 - progress) / _SHARPENING)
            self._leaf_loss.sharpness = 1 + (settings.sharpening - 1) * done
            self._leaf_loss.share = _SHARPENED_SHARE * min(1.0, 2 * done)

    @torch.no_grad()
    def step(self, X: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Take one optimiser step; return the loss, penalty included, as a tensor."""
        if self._workspace is None or self._workspace.n != len(X):
            self._workspace = Workspace(self._settings.depth, len(X), X)
        parameters = self.parameters
        loss, penalty, gradient = loss_and_gradients(
            parameters, X, targets, weights, self._leaf_loss, self._balance, self._workspace
        )
        if self._total is not alone:
            self._add_up(loss, gradient)
        parameters.gate_weights.grad = gradient.gate_weights
        parameters.gate_biases.grad = gradient.gate_biases
        parameters.leaves.grad = gradient.leaves
        if parameters.log_betas is not None:
            parameters.log_betas.grad = gradient.log_betas
        self._optimizer.step()
        self._steps += 1
        if self._average is not None:
            # Early on the average is short, so that it does not remember the initialisation.
            decay = min(self._settings.weight_averaging, self._steps / (self._steps + 10))
            for mean, tensor in (
                (self._average.gate_weights, parameters.gate_weights),
                (self._average.gate_biases, parameters.gate_biases),
                (self._average.leaves, parameters.leaves),
            ):
                mean.lerp_(tensor, 1 - decay)
            if self._average.log_betas is not None and parameters.log_betas is not None:
                self._average.log_betas.copy_(parameters.log_betas)
        return loss + penalty

    def _add_up(self, loss: Tensor, gradient: TreeParameters) -> None:
        """Sum loss and gradients over the processes, in place and in one exchange."""
        parts = [loss, *(part for part in vars(gradient).values() if part is not None)]
        flat = self._total(torch.cat([part.flatten() for part in parts]))
        for part, total in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
            part.copy_(total.view_as(part))

    def result(self) -> TreeParameters:
        """Return a copy of the parameters as they now stand, averaged where that is asked for."""
        return (self._average or self.parameters).copy()

    def state(self) -> dict[str, Any]:
        """Return all that a step changes."""
        return {
            "parameters": self.parameters.state(),
            "average": None if self._average is None else self._average.state(),
            "balance": None if self._balance is None else self._balance.state(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of `state`."""
        self.parameters.restore(state["parameters"])
        if self._average is not None:
            self._average.restore(state["average"])
        if self._balance is not None:
            self._balance.restore(state["balance"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._steps = state["steps"]


@dataclass
class TrainingHistory:
    """What happened, epoch by epoch."""

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int | None = None


def fingerprint(
    description: Any,
    parameters: TreeParameters,
    rows: Rows,
    validation: Iterable[np.ndarray],
    random_state: np.random.RandomState,
) -> str:
    """Return what tells this training from others, for its checkpoint.

    Parameters
    ----------
    description : object
        With a `repr` that says how the tree is trained.
    parameters : TreeParameters
        Before the first step.
    rows : Rows
    validation : iterable of ndarray
        What the epoch is chosen on.
    random_state : RandomState
    """
    digest = hashlib.sha256(repr(description).encode())
    for tensor in vars(parameters).values():
        if tensor is not None:
            digest.update(tensor.cpu().contiguous().numpy().data)
    digest.update(rows.fingerprint().encode())
    for array in validation:
        digest.update(np.ascontiguousarray(array).data)
    digest.update(pickle.dumps(random_state.get_state()))
    return digest.hexdigest()


def train(
    trainer: Trainer,
    rows: Rows,
    *,
    epochs: int,
    batch_size: int,
    random_state: np.random.RandomState,
    validation_loss: Callable[[TreeParameters], float] | None,
    patience: int,
    on_epoch: Callable[[int, TrainingHistory], None],
    device: str,
    checkpoint: Checkpoint | None = None,
    writes: bool = True,
) -> tuple[TreeParameters, TrainingHistory]:
    """Train for `epochs` passes; with a validation loss, return the best epoch's parameters.

    With a checkpoint it goes on from what that holds, to the same result bit for bit on a CPU; only
    one of several processes `writes` it.

    Returns
    -------
    parameters : TreeParameters
    history : TrainingHistory

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    history = TrainingHistory()
    steps_per_epoch = math.ceil(rows.n / batch_size)
    n_steps = epochs * steps_per_epoch
    best: TreeParameters | None = None
    kept = None if checkpoint is None else checkpoint.take(0)
    if kept is not None:
        trainer.restore(kept["trainer"])
        history = TrainingHistory(**kept["history"])
        if kept["best"] is not None:
            best = trainer.result()
            best.restore(kept["best"])
        random_state.set_state(numpy_random(kept["random"]))
    before, began = 0.0 if checkpoint is None else checkpoint.seconds, time.monotonic()

    def state() -> dict[str, Any]:
        return {
            "trainer": trainer.state(),
            "history": asdict(history),
            "best": None if best is None else best.state(),
            "random": kept_random(random_state),
        }

    done = len(history.loss) * steps_per_epoch
    for epoch in range(len(history.loss), epochs):
        total = torch.zeros((), dtype=torch.float64)
        batches = rows.batches(batch_size, random_state, device)
        for start, batch in zip(range(0, rows.n, batch_size), batches, strict=True):
            trainer.schedule(done / n_steps)
            total += trainer.step(*batch).cpu() * min(batch_size, rows.n - start)
            done += 1
        mean = float(total) / rows.n
        if not math.isfinite(mean):
            raise FloatingPointError(
                f"The training loss is {mean} in epoch {epoch + 1}. Lower learning_rate, or check "
                "X for extreme values."
            )
        history.loss.append(mean)
        if validation_loss is not None:
            history.validation_loss.append(validation_loss(trainer.result()))
            if history.validation_loss[-1] <= min(history.validation_loss):
                best, history.best_epoch = trainer.result(), epoch
        on_epoch(epoch, history)
        if history.best_epoch is not None and epoch - history.best_epoch >= patience:
            break
        if checkpoint is not None and writes:
            checkpoint.write_if_due(0, state, before + time.monotonic() - began)
    return best or trainer.result(), history
