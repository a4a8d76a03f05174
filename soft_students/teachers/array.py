"""Fixed answers as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from soft_students.sklearn_private import num_samples
from soft_students.targets import check_logits, check_probabilities
from soft_students.teachers.base import Teacher, as_array


class ArrayTeacher(Teacher):
    """What some teacher said about the rows of one X; it cannot be asked about others.

    Parameters
    ----------
    outputs : array-like of shape (n_samples, n_classes), or (n_samples,) for values
    kind : {"logits", "probabilities"}, default="probabilities"
    task : {"classification", "regression"}, default="classification"
    classes : array-like of shape (n_classes,), default=None
        Label of each column.

    Raises
    ------
    ValueError
        If the outputs are not what `kind` says.
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
        outputs = as_array(outputs)
        if outputs.ndim == 0:
            raise ValueError("The answers of a teacher must be an array. Got a single number.")
        if task == "classification":
            n_classes = None if self.classes_ is None else len(self.classes_)
            check = check_probabilities if kind == "probabilities" else check_logits
            outputs = check(outputs, len(outputs), n_classes)
        # Neither whoever made the array nor whoever asked may change what the teacher says.
        self._answers = outputs.copy()
        self._answers.setflags(write=False)

    def _check_inputs(self, X: Any) -> None:
        if num_samples(X) != len(self._answers):
            raise ValueError(
                f"The teacher is an array of {len(self._answers)} rows, but X has "
                f"{num_samples(X)}: it belongs to one X, row by row. For subsets, "
                "cross-validation or a transfer set, pass a teacher that can be asked: the model "
                "that made the array."
            )

    def _outputs(self, X: Any) -> np.ndarray:
        return self._answers
