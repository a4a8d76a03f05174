"""Optimiser and learning-rate schedule of a neural student."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclass(frozen=True)
class OptimizerSettings:
    """Settings of optimiser and schedule, named as in `NeuralStudentClassifier`.

    Parameters
    ----------
    optimizer : {"adamw", "adam", "sgd"}
    learning_rate : float
        Peak of the schedule.
    weight_decay : float
        Applied to weights, not to biases and normalisation scales.
    momentum : float
        Nesterov momentum of "sgd".
    schedule : {"one_cycle", "cosine", "step", "constant"}
        Course of the learning rate over the training.
    """

    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    schedule: str = "one_cycle"

    def make(
        self, parameters: list[nn.Parameter], n_steps: int, rate: float = 1.0
    ) -> tuple[Optimizer, LambdaLR]:
        """Return an optimiser of the parameters, and its schedule over `n_steps` steps."""
        groups = [
            {
                "params": [p for p in parameters if p.ndim > 1],
                "weight_decay": self.weight_decay,
            },
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        lr = self.learning_rate * rate
        optimizer: Optimizer
        if self.optimizer == "sgd":
            nesterov = self.momentum > 0
            optimizer = torch.optim.SGD(groups, lr, momentum=self.momentum, nesterov=nesterov)
        elif self.optimizer == "adam":
            optimizer = torch.optim.Adam(groups, lr, fused=True)
        else:
            optimizer = torch.optim.AdamW(groups, lr, fused=True)
        factor = SCHEDULES[self.schedule]
        return optimizer, LambdaLR(optimizer, lambda step: factor(step, max(1, n_steps)))


def _one_cycle(step: int, n_steps: int) -> float:
    """Rise linearly during a quarter of the steps, then fall to zero by a cosine."""
    rise = n_steps / 4
    if step < rise:
        return 0.1 + 0.9 * step / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (n_steps - rise))


def _cosine(step: int, n_steps: int) -> float:
    return 0.5 + 0.5 * math.cos(math.pi * step / n_steps)


def _steps(step: int, n_steps: int) -> float:
    """Divide by ten after 62.5, 75 and 87.5 % of the steps: epochs 150, 180 and 210 of 240."""
    return 0.1 ** sum(step >= share * n_steps for share in (0.625, 0.75, 0.875))


def _constant(step: int, n_steps: int) -> float:
    return 1.0


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
    "step": _steps,
    "constant": _constant,
}
