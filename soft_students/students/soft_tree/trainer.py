"""The training loop of soft trees: batches, optimiser, schedule, early stopping."""

from __future__ import annotations

import hashlib
import math
import pickle
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soft_students.persistence.checkpoints import Checkpoint, kept_random, numpy_random
from soft_students.students.soft_tree.kernel import (
    LeafLoss,
    SharpenedPaths,
    SplitBalance,
    Total,
    Workspace,
    alone,
    loss_and_gradients,
)
from soft_students.students.soft_tree.parameters import TreeParameters
from soft_students.students.soft_tree.settings import TrainingSettings
from soft_students.students.soft_tree.training_rows import TrainingRows

_WARM_UP = 0.25  # share of the steps in which the one-cycle schedule rises
_ANNEALING = 0.5  # share of the steps, at the end, in which β rises to its final value
_SHARPENING = 0.5  # share of the steps, at the end, with sharpened path probabilities,
_SHARPENED_SHARE = 0.5  # and the weight that their loss reaches halfway through these steps


class Trainer:
    """Parameters, optimiser state and running averages of one tree in training.

    Parameters
    ----------
    parameters : TreeParameters
        Initial parameters; the trainer changes them in place.
    leaf_loss : LeafLoss
    settings : TrainingSettings
    total : Total, default=alone
        Sum over the processes that train the same tree.
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
        self.settings = settings
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
        """Set learning rate, β and sharpening for a share of the steps done, from 0 to 1."""
        settings = self.settings
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
            self._workspace = Workspace(self.settings.depth, len(X), X)
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
            # The average is short in the first steps, so that the initialisation soon drops out.
            decay = min(self.settings.weight_averaging, self._steps / (self._steps + 10))
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
        """Return a copy of the current parameters, averaged with `weight_averaging`."""
        return (self._average or self.parameters).copy()

    def state(self) -> dict[str, Any]:
        """Return the state that `step` changes, for a checkpoint."""
        return {
            "parameters": self.parameters.state(),
            "average": None if self._average is None else self._average.state(),
            "balance": None if self._balance is None else self._balance.state(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`."""
        self.parameters.restore(state["parameters"])
        if self._average is not None:
            self._average.restore(state["average"])
        if self._balance is not None:
            self._balance.restore(state["balance"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._steps = state["steps"]


@dataclass
class TrainingHistory:
    """Losses of each epoch, and the best epoch."""

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int | None = None


def fingerprint(
    description: Any,
    parameters: TreeParameters,
    rows: TrainingRows,
    validation: Iterable[np.ndarray],
    random_state: np.random.RandomState,
) -> str:
    """Return a digest that identifies a training, for its checkpoint.

    Parameters
    ----------
    description : object
        Object whose `repr` contains the training settings.
    parameters : TreeParameters
        Initial parameters.
    rows : TrainingRows
    validation : iterable of ndarray
        Held-out rows on which the epoch is chosen.
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
    rows: TrainingRows,
    *,
    random_state: np.random.RandomState,
    validation_loss: Callable[[TreeParameters], float] | None,
    on_epoch: Callable[[int, TrainingHistory], None],
    checkpoint: Checkpoint | None = None,
    writes: bool = True,
) -> tuple[TreeParameters, TrainingHistory]:
    """Train a tree; with a validation loss, return the best epoch's parameters.

    With a checkpoint, continue from its state; on a CPU, the result is bit-identical. Only one of
    several processes `writes` it.

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
    settings = trainer.settings
    epochs, batch_size = settings.n_epochs(rows.n), settings.batch_size
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
        batches = rows.batches(batch_size, random_state, settings.device)
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
        if (
            history.best_epoch is not None
            and epoch - history.best_epoch >= settings.n_iter_no_change
        ):
            break
        if checkpoint is not None and writes:
            checkpoint.write_if_due(0, state, before + time.monotonic() - began)
    return best or trainer.result(), history
