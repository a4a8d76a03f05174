"""Fixed answers as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from soft_students.targets import check_logits, check_probabilities
from soft_students.teachers.base import Teacher, log_of_probabilities


class ArrayTeacher(Teacher):
    """What some teacher said about the rows of one X; it cannot be asked about others.

    Parameters
    ----------
    outputs : array-like of shape (n_samples, n_classes)
    kind : {"logits", "probabilities"}, default="probabilities"
    classes : array-like of shape (n_classes,), default=None
        Label of each column.

    Raises
    ------
    ValueError
        If the outputs are not what `kind` says.
    """

    name = "array"

    def __init__(self, outputs: Any, *, kind: str = "probabilities", classes: Any = None) -> None:
        outputs = np.asarray(outputs)
        n_classes = None if classes is None else len(classes)
        n_samples = len(outputs) if outputs.ndim else 0
        if kind == "probabilities":
            checked = check_probabilities(outputs, n_samples, n_classes)
            self._logits = log_of_probabilities(checked)
        else:
            self._logits = check_logits(outputs, n_samples, n_classes)
        self.classes_ = None if classes is None else np.asarray(classes)

    def _check_inputs(self, X: Any) -> None:
        if _num_samples(X) != len(self._logits):
            raise ValueError(
                f"The teacher is an array of {len(self._logits)} rows, but X has "
                f"{_num_samples(X)}: it belongs to one X, row by row. For subsets, "
                "cross-validation or a transfer set, pass a teacher that can be asked: the model "
                "that made the array."
            )

    def _outputs(self, X: Any) -> np.ndarray:
        return self._logits
