"""A function as a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soft_students.columns import columns_of
from soft_students.teachers.base import Teacher


class FunctionTeacher(Teacher):
    """A callable that maps rows to probabilities, logits or values, as a teacher.

    Parameters
    ----------
    function : callable
        Called with all rows of `X`, unchanged. Returns an array of shape (n_samples, n_classes), or
        the probability or logit of the second of two classes, of shape (n_samples,).
    kind : {"logits", "probabilities"}, default="probabilities"
    task : {"classification", "regression"}, default="classification"
    classes : array-like of shape (n_classes,), default=None
    input_range : tuple of float, default=None
        Smallest and largest value of the training data.
    """

    may_cost = True

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        kind: str = "probabilities",
        task: str = "classification",
        classes: Any = None,
        input_range: tuple[float, float] | None = None,
    ) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        super().__init__(
            name="function" if name == "<lambda>" else name,
            task=task,
            kind=kind,
            classes=classes,
            input_range=input_range,
        )
        self.function = function

    @property
    def feature_names_in_(self) -> list[str] | None:
        """Names of the features of the estimator whose method the function is."""
        return columns_of(getattr(self.function, "__self__", None))

    def _outputs(self, X: Any) -> Any:
        return self.function(X)
