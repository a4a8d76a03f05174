"""Neural networks as students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.students.neural.classifier import NeuralStudentClassifier

__all__ = ["NeuralStudentClassifier"]


def __getattr__(name: str) -> Any:
    if name != "NeuralStudentClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # at first use: the registry reads this package's presets, and does without torch
    from soft_students.students.neural.classifier import NeuralStudentClassifier

    return NeuralStudentClassifier
