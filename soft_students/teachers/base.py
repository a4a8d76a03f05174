"""The interface of a teacher."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import _num_samples

from soft_students.targets import soften

if TYPE_CHECKING:
    from soft_students.teachers.checkpoint import TrainingRecord

# Inputs may leave the known range by half its width before anyone is warned: augmentation and
# noise do that much, standardising does more.
_RANGE_MARGIN = 0.5


class InputRangeWarning(UserWarning):
    """A teacher is asked about inputs far outside the range it was trained on."""


class Teacher(ABC):
    """A fitted model that is asked, and never changed.

    Attributes
    ----------
    name : str
        Short, for tables.
    task : {"classification", "regression"}
    classes_ : ndarray of shape (n_classes,) or None
        Label of each column; None if the model does not say.
    n_features_in_ : int or None
        Features a row; None if any number may do.
    input_range_ : tuple of float or None
        Smallest and largest value of the inputs it was trained on; None if unknown.
    record : TrainingRecord or None
        How it came to be, for teachers of `train_teacher`.
    """

    name: str = "teacher"
    task: str = "classification"
    classes_: np.ndarray | None = None
    n_features_in_: int | None = None
    input_range_: tuple[float, float] | None = None
    record: TrainingRecord | None = None

    @abstractmethod
    def _outputs(self, X: Any) -> np.ndarray:
        """Return logits of shape (n, n_classes), or values of shape (n,) or (n, n_outputs)."""

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As the model takes it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logits, or logarithms of probabilities where the model gives no logits.

        Raises
        ------
        ValueError
            If `X` has no rows or another number of features, the model gives something else than
            one row of finite logits for each row of `X`, or it is a regressor.
        """
        if self.task != "classification":
            raise ValueError(f"The teacher {self.name!r} predicts values and has no logits.")
        logits = np.asarray(self._asked(X))
        if logits.ndim != 2 or len(logits) != _num_samples(X) or logits.shape[1] < 1:
            raise ValueError(
                f"The teacher {self.name!r} must give logits of shape ({_num_samples(X)}, "
                f"n_classes). Got an array of shape {logits.shape}."
            )
        if self.classes_ is not None and logits.shape[1] != len(self.classes_):
            raise ValueError(
                f"The teacher {self.name!r} gave {logits.shape[1]} columns for its "
                f"{len(self.classes_)} classes."
            )
        return logits

    def predict_proba(self, X: Any, temperature: float = 1.0) -> np.ndarray:
        """Return the probabilities of each class at a temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        temperature : float, default=1.0
            T of ``softmax(logits / T)``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Rows sum to one.
        """
        return soften(self.logits(X), temperature)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest label of each row, or a regressor's values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) of a regressor
            Labels are column numbers where the teacher does not know its classes.
        """
        if self.task == "regression":
            return self._asked(X)
        columns = self.logits(X).argmax(axis=1)
        return columns if self.classes_ is None else np.asarray(self.classes_)[columns]

    def __sklearn_clone__(self) -> Self:
        # A teacher is fitted, and shared by all students that learn from it.
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _asked(self, X: Any) -> np.ndarray:
        self._check_inputs(X)
        outputs = np.asarray(self._outputs(X))
        if np.issubdtype(outputs.dtype, np.floating):
            # -inf is the logarithm of probability zero
            bad = np.isnan(outputs) | np.isposinf(outputs)
            if bad.any():
                rows = bad.reshape(len(outputs), -1).any(axis=1)
                raise ValueError(
                    f"The teacher {self.name!r} returned NaN or infinity for {rows.sum()} of "
                    f"{len(rows)} rows (first: row {rows.argmax()}). Check its inputs for missing "
                    "or extreme values, and its weights."
                )
        return outputs

    def _check_inputs(self, X: Any) -> None:
        if _num_samples(X) == 0:
            raise ValueError(f"The teacher {self.name!r} was asked about no rows: X is empty.")
        shape = np.shape(X)
        if self.n_features_in_ is not None and len(shape) == 2 and shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {shape[1]} features, but the teacher {self.name!r} was trained on "
                f"{self.n_features_in_} features."
            )
        if self.input_range_ is None:
            return
        low, high = self.input_range_
        values = np.asarray(X)
        seen_low, seen_high = float(values.min()), float(values.max())
        margin = _RANGE_MARGIN * (high - low)
        if seen_low < low - margin or seen_high > high + margin:
            warnings.warn(
                f"The teacher {self.name!r} was trained on inputs in [{low:g}, {high:g}], and is "
                f"asked about inputs in [{seen_low:g}, {seen_high:g}]: its answers may be "
                "meaningless. A Pipeline passes transformed rows to its last step; to show the "
                "teacher the rows as they come, use DistilledClassifier(pipeline, teacher).",
                InputRangeWarning,
                stacklevel=4,
            )


def log_of_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Return logarithms that are finite: probability zero counts as the smallest float.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    probabilities = np.asarray(probabilities)
    if not np.issubdtype(probabilities.dtype, np.floating):
        probabilities = probabilities.astype(np.float64)
    return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))


def two_columns(logits: np.ndarray) -> np.ndarray:
    """Return a single logit, of the second of two classes, as two columns ``[0, z]``."""
    flat = logits.reshape(len(logits))
    return np.column_stack([np.zeros_like(flat), flat])
