"""How a neural student learns: one file a method, and the loop that knows none of them by name.

The pure functions (`kd_loss`, `at_loss`, ...) work alone, in anybody's own training loop.
"""

from soft_students.methods.at import AT, at_loss, attention_map
from soft_students.methods.base import (
    Combination,
    LossMethod,
    Method,
    Objective,
    Paper,
    Player,
    Stage,
    Task,
)
from soft_students.methods.catalog import available, get_method, make_method
from soft_students.methods.kd import KD, kd_loss
from soft_students.methods.lesson import Batch, Lesson, Step, TrainingData
from soft_students.methods.observe import Observation, list_layers, observe

__all__ = [
    "AT",
    "KD",
    "Batch",
    "Combination",
    "Lesson",
    "LossMethod",
    "Method",
    "Objective",
    "Observation",
    "Paper",
    "Player",
    "Stage",
    "Step",
    "Task",
    "TrainingData",
    "at_loss",
    "attention_map",
    "available",
    "get_method",
    "kd_loss",
    "list_layers",
    "make_method",
    "observe",
]
