"""Training settings of a soft tree, taken from the parameters of its estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Self

from sklearn.base import BaseEstimator

_AUTO_STEPS = 1500  # epochs="auto" trains for at least this many steps,
_AUTO_EPOCHS = 40  # and at least this many epochs


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Training settings; each field is the estimator's parameter of the same name.

    A checkpoint continues a training only if all fields that shape the tree are equal. Those with
    the metadata ``shapes_tree=False`` do not.
    """

    depth: int
    mixture_weight: float
    focusing: float = 0.0  # classifier only
    penalty: float
    beta: float
    beta_schedule: str
    beta_final: float
    sharpening: float
    epochs: int | str
    batch_size: int
    learning_rate: float
    weight_decay: float
    weight_averaging: float
    early_stopping: bool
    n_iter_no_change: int
    device: str = field(metadata={"shapes_tree": False})

    @classmethod
    def of(cls, estimator: BaseEstimator) -> Self:
        """Return the settings in an estimator's parameters."""
        parameters = estimator.get_params(deep=False)
        return cls(**{f.name: parameters[f.name] for f in fields(cls) if f.name in parameters})

    def shaping(self) -> dict[str, Any]:
        """Return the fields that shape the tree, by name."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.metadata.get("shapes_tree", True)
        }

    def n_epochs(self, n_rows: int) -> int:
        """Return the number of passes over `n_rows` rows."""
        if self.epochs != "auto":
            return int(self.epochs)
        return max(_AUTO_EPOCHS, math.ceil(_AUTO_STEPS / math.ceil(n_rows / self.batch_size)))
