"""Stored outputs as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from soft_students.sklearn_private import num_samples
from soft_students.targets import check_logits, check_probabilities
from soft_students.teachers.base import Teacher


class ArrayTeacher(Teacher):
    """Stored outputs of a teacher for the rows of one X; it cannot predict other rows.

    Parameters
    ----------
    outputs : array-like of shape (n_samples, n_classes), or (n_samples,) for values
        Columns of a DataFrame name the classes. One probability per row, of shape (n_samples,) or
        (n_samples, 1), belongs to the second of two classes. Output for each row of X.
    kind : {"logits", "probabilities"}, default="probabilities"
    task : {"classification", "regression"}, default="classification"
    classes : array-like of shape (n_classes,), default=None
        Label of each column.

    Raises
    ------
    ValueError
        If the outputs are not of the given `kind`.
    """

    def __init__(
        self,
        outputs: Any,
        *,
        kind: str = "probabilities",
        task: str = "classification",
        classes: Any = None,
    ) -> None:
        super().__init__(name="array", task=task, kind=kind, classes=classes)
        outputs = self._by_name(outputs)
        if outputs.ndim == 0:
            raise ValueError("The outputs of a teacher must be an array. Got a single number.")
        if task == "classification":
            if kind == "probabilities" and outputs.size == len(outputs):
                second = outputs.reshape(-1, 1)
                if not ((second >= 0) & (second <= 1)).all():
                    raise ValueError(
                        "Soft targets must have the shape (n_samples, n_classes), or be one "
                        "probability per row, from 0 to 1. Pass labels as y."
                    )
                outputs = np.hstack([1 - second, second])
            n_classes = None if self.classes_ is None else len(self.classes_)
            check = check_probabilities if kind == "probabilities" else check_logits
            outputs = check(outputs, len(outputs), n_classes)
        # a read-only copy: neither the caller's array nor a returned one can change the outputs
        self._answers = outputs.copy()
        self._answers.setflags(write=False)

    def _check_inputs(self, X: Any) -> None:
        if num_samples(X) != len(self._answers):
            raise ValueError(
                f"The teacher is an array of {len(self._answers)} rows, but X has "
                f"{num_samples(X)}: the array belongs to one X, row by row. For subsets, "
                "cross-validation or a transfer set, pass the model that made the array."
            )

    def _outputs(self, X: Any) -> np.ndarray:
        return self._answers
