"""The loop that trains one network; `train_teacher` prepares what it needs."""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from torch import nn

from soft_students.persistence.checkpoints import Checkpoint, kept_random, numpy_random
from soft_students.teachers.checkpoint import PREDICT_BATCH
from soft_students.teachers.network import BuiltNetwork
from soft_students.teachers.preprocessing import Standardize
from soft_students.transfer import Transfer


@dataclass(frozen=True)
class Epoch:
    """What a callback is told after each epoch.

    Parameters
    ----------
    model, n_models : int
        Which network of the ensemble, counted from 1, and how many there are.
    epoch, n_epochs : int
        Counted from 1.
    loss : float
        Mean cross-entropy of the epoch's batches, distorted and in training mode.
    validation_accuracy : float or None
    validation_loss : float or None
        None without a validation set.
    seconds : float
        Since the training of this network began.
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
class Rows:
    """Training and validation rows; targets are positions in `classes`."""

    X: np.ndarray
    targets: np.ndarray
    X_val: np.ndarray
    targets_val: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Plan:
    """How every network is trained."""

    n_models: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augment: Transfer | None

    def check(self) -> None:
        """Raise ValueError for a value that nothing can be trained with."""
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

    def batches(self, n_rows: int) -> int:
        """Return the number of steps an epoch."""
        return math.ceil(n_rows / self.batch_size)


def fit_network(
    network: BuiltNetwork,
    standardize: Standardize,
    rows: Rows,
    plan: Plan,
    model: int,
    rng: RandomState,
    step: Callable[[], None],
    report: Callable[[Epoch], None],
    checkpoint: Checkpoint | None = None,
) -> float | None:
    """Train in place; return the validation accuracy of the weights that are kept.

    With a checkpoint it goes on from what that holds of this model.

    These are of the last epoch whose accuracy is within one standard error of the best: smaller
    differences are chance, and the schedule makes later epochs the better ones.
    """
    device = next(network.parameters()).device
    n_batches = plan.batches(len(rows.X))
    optimizer, schedule = _optimizer(network, plan, n_batches)
    started = time.monotonic()
    best, kept, weights, first = 0.0, None, None, 1
    done = None if checkpoint is None else checkpoint.take(model - 1)
    if done is not None:
        network.load_state_dict(done["network"])
        optimizer.load_state_dict(done["optimizer"])
        schedule.load_state_dict(done["schedule"])
        rng.set_state(numpy_random(done["random"]))
        torch.set_rng_state(done["torch_random"])
        best, kept, weights = done["best"], done["kept"], done["weights"]
        first = done["epoch"] + 1
        for _ in range(done["epoch"] * n_batches):
            step()

    def state() -> dict[str, Any]:
        return {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "random": kept_random(rng),
            "torch_random": torch.get_rng_state(),
            "best": best,
            "kept": kept,
            "weights": weights,
            "epoch": epoch,
        }

    for epoch in range(first, plan.epochs + 1):
        network.train()
        total = 0.0
        # Parts of nearly equal size: a last batch of one row would break batch normalisation.
        for batch in np.array_split(rng.permutation(len(rows.X)), n_batches):
            X = rows.X[batch] if plan.augment is None else plan.augment.sample(rows.X[batch], rng)
            loss = nn.functional.cross_entropy(
                network(_inputs(X, standardize, network.input_shape, device)),
                torch.from_numpy(rows.targets[batch]).to(device),
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
            step()
        if not math.isfinite(total):
            raise ValueError(
                f"The training diverged: the loss of epoch {epoch} is not finite. Choose a "
                f"learning_rate below {plan.learning_rate:g}."
            )
        measured = _validate(network, standardize, rows)
        accuracy, validation_loss = measured or (None, None)
        report(
            Epoch(
                model=model,
                n_models=plan.n_models,
                epoch=epoch,
                n_epochs=plan.epochs,
                loss=total / len(rows.X),
                validation_accuracy=accuracy,
                validation_loss=validation_loss,
                seconds=time.monotonic() - started,
            )
        )
        if accuracy is not None:
            best = max(best, accuracy)
            if accuracy >= best - _standard_error(best, len(rows.X_val)):
                kept, weights = accuracy, copy.deepcopy(network.state_dict())
        if checkpoint is not None:
            seconds = time.monotonic() - started
            if epoch == plan.epochs and model < plan.n_models:  # the next's state goes beside it
                checkpoint.write(model - 1, state(), seconds)
            else:
                checkpoint.write_if_due(model - 1, state, seconds)
    if weights is not None:
        network.load_state_dict(weights)
    return kept


def _standard_error(accuracy: float, n_rows: int) -> float:
    """Return how far chance moves an accuracy measured on so many rows."""
    # Agresti and Coull (1998): two rows right and two wrong are added, since all right, or all
    # wrong, is no certainty.
    smoothed = (accuracy * n_rows + 2) / (n_rows + 4)
    return math.sqrt(smoothed * (1 - smoothed) / n_rows)


def _optimizer(
    network: BuiltNetwork, plan: Plan, n_batches: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    # Biases and normalisation scales do not decay: that would regularise nothing.
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": plan.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=plan.learning_rate,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, functools.partial(_one_cycle, n_steps=plan.epochs * n_batches)
    )
    return optimizer, schedule


def _one_cycle(step: int, n_steps: int) -> float:
    """Fraction of the peak rate: linearly up in a quarter of the steps, then a cosine to zero."""
    rise = n_steps / 4
    if step < rise:
        return 0.1 + 0.9 * step / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (n_steps - rise))


def _inputs(
    X: np.ndarray, standardize: Standardize, shape: tuple[int, ...], device: torch.device
) -> torch.Tensor:
    return standardize(torch.from_numpy(X).to(device).view(len(X), *shape))


@torch.inference_mode()
def _validate(
    network: BuiltNetwork, standardize: Standardize, rows: Rows
) -> tuple[float, float] | None:
    """Return accuracy and mean cross-entropy on the validation rows, if there are any."""
    if not len(rows.X_val):
        return None
    device = next(network.parameters()).device
    network.eval()
    logits = torch.cat(
        [
            network(_inputs(X, standardize, network.input_shape, device)).cpu()
            for X in np.array_split(rows.X_val, math.ceil(len(rows.X_val) / PREDICT_BATCH))
        ]
    )
    targets = torch.from_numpy(rows.targets_val)
    accuracy = (logits.argmax(1) == targets).double().mean().item()
    return accuracy, nn.functional.cross_entropy(logits, targets).item()
