"""A function as a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from soft_students.targets import check_probabilities
from soft_students.teachers.base import Teacher, log_of_probabilities


class FunctionTeacher(Teacher):
    """A callable that maps rows to probabilities, logits or values.

    Parameters
    ----------
    function : callable
        Takes `X` as it is, returns an array of shape (n_samples, n_classes).
    kind : {"logits", "probabilities"}, default="probabilities"
    task : {"classification", "regression"}, default="classification"
    classes : array-like of shape (n_classes,), default=None
    input_range : tuple of float, default=None
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        kind: str = "probabilities",
        task: str = "classification",
        classes: Any = None,
        input_range: tuple[float, float] | None = None,
    ) -> None:
        self.function = function
        self.kind = kind
        self.task = task
        self.name = getattr(function, "__name__", type(function).__name__)
        self.classes_ = None if classes is None else np.asarray(classes)
        self.input_range_ = input_range

    def _outputs(self, X: Any) -> np.ndarray:
        outputs = np.asarray(self.function(X), dtype=np.float64)
        if self.task == "regression" or self.kind == "logits":
            return outputs
        return log_of_probabilities(check_probabilities(outputs, len(outputs)))
