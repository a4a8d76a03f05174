"""Distillation methods for neural students: one file per method, and one loop that trains them all.

The loss functions (`kd_loss`, `at_loss`, ...) are pure and work in any training loop.
"""

import importlib
from typing import TYPE_CHECKING, Any

from soft_students.methods.catalog import (
    available,
    entries,
    exported,
    get_entry,
    get_method,
    make_method,
)
from soft_students.methods.facts import MethodEntry, Paper

if TYPE_CHECKING:
    from soft_students.methods.base import (
        Combination,
        LossMethod,
        Method,
        Objective,
        Task,
    )
    from soft_students.methods.lesson import Lesson, Step
    from soft_students.methods.observation import Observation, list_layers, observe
    from soft_students.methods.peers import Ensemble, ensemble_logits
    from soft_students.training.batch import Batch, TrainingData
    from soft_students.training.stages import Player, Stage

# Imported at first use, with torch; the names of the methods' own files come from the catalogue.
_MODULES = exported() | {
    "Batch": "soft_students.training.batch",
    "Combination": "soft_students.methods.base",
    "Ensemble": "soft_students.methods.peers",
    "Lesson": "soft_students.methods.lesson",
    "LossMethod": "soft_students.methods.base",
    "Method": "soft_students.methods.base",
    "Objective": "soft_students.methods.base",
    "Observation": "soft_students.methods.observation",
    "Player": "soft_students.training.stages",
    "Stage": "soft_students.training.stages",
    "Step": "soft_students.methods.lesson",
    "Task": "soft_students.methods.base",
    "TrainingData": "soft_students.training.batch",
    "ensemble_logits": "soft_students.methods.peers",
    "list_layers": "soft_students.methods.observation",
    "observe": "soft_students.methods.observation",
}

__all__ = [
    "Batch",
    "Combination",
    "Ensemble",
    "Lesson",
    "LossMethod",
    "Method",
    "MethodEntry",
    "Objective",
    "Observation",
    "Paper",
    "Player",
    "Stage",
    "Step",
    "Task",
    "TrainingData",
    "available",
    "ensemble_logits",
    "entries",
    "get_entry",
    "get_method",
    "list_layers",
    "make_method",
    "observe",
    *sorted(exported()),
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
