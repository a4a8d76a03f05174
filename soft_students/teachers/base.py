"""The interface of a teacher."""

from __future__ import annotations

import math
import sys
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import _num_samples

from soft_students.targets import check_probabilities, check_temperature, soften
from soft_students.teachers.inputs import InputRangeWarning, check_n_features, range_complaint

# A single logit of each of that many rows lies in [0, 1] by chance once in a million teachers.
_ROWS_TO_SUSPECT_A_SIGMOID = 10


@dataclass
class TrainingRecord:
    """What is known of how a teacher came to be; the attribute `record` of a trained teacher.

    Parameters
    ----------
    accuracy : dict of str to float
        Measured accuracy by name of the split: "validation", "test".
    seed : int or None
        Of a single network.
    data : dict
        What it was trained on, of plain JSON values: name, source, numbers of rows, and so on.
    """

    accuracy: dict[str, float] = field(default_factory=dict)
    seed: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


class Teacher(ABC):
    """A fitted model that is asked, and never changed.

    Parameters
    ----------
    name : str
        Short, for tables and messages.
    task : {"classification", "regression"}, default="classification"
    kind : {"logits", "probabilities"} or None, default="logits"
        What the model gives. None stands for logits, with a warning if they look like
        probabilities. One column alone is that of the second of two classes: its logit z, beside
        which the first class has the logit 0, or its probability.
    classes : array-like of shape (n_classes,), default=None
        Label of each column.
    n_features : int, default=None
        Values a row.
    input_range : tuple of float, default=None
        Smallest and largest value of the inputs it was trained on.

    Attributes
    ----------
    name, task, kind
        As given.
    classes_ : ndarray of shape (n_classes,) or None
        Label of each column; None if the model does not say.
    n_features_in_ : int or None
        Values a row; None if any number may do.
    input_range_ : tuple of float or None
        Inputs far outside give an `InputRangeWarning`; None if unknown.
    record : TrainingRecord or None
        How it came to be, for teachers of `train_teacher`.
    """

    record: TrainingRecord | None = None

    def __init__(
        self,
        *,
        name: str,
        task: str = "classification",
        kind: str | None = "logits",
        classes: Any = None,
        n_features: int | None = None,
        input_range: tuple[float, float] | None = None,
    ) -> None:
        if task not in ("classification", "regression"):
            raise ValueError(
                "The 'task' of a teacher must be 'classification' or 'regression'. "
                f"Got {task!r} instead."
            )
        if kind not in (None, "logits", "probabilities"):
            raise ValueError(
                "The 'kind' of a teacher must be 'logits' or 'probabilities'. "
                f"Got {kind!r} instead."
            )
        self.name = name
        self.task = task
        self.kind = kind
        self.classes_ = None if classes is None else _check_classes(classes)
        self.n_features_in_ = n_features
        self.input_range_ = None if input_range is None else _check_range(input_range)

    @abstractmethod
    def _outputs(self, X: Any) -> Any:
        """Return what the model gives, an array of shape (n,) or (n, n_columns)."""

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As the model takes it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logits, or logarithms of probabilities where the model gives no logits; a probability
            of zero counts as the smallest float there is.

        Raises
        ------
        ValueError
            If `X` has no rows or another number of features, the model gives something else than
            one row of finite logits for each row of `X`, or it is a regressor.
        """
        if self.task != "classification":
            raise ValueError(f"The teacher {self.name!r} predicts values and has no logits.")
        self._check(X)
        return self._logits(X)

    def predict_proba(self, X: Any, temperature: float = 1.0) -> np.ndarray:
        """Return the probabilities of each class at a temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        temperature : float, default=1.0
            T > 0 of ``softmax(logits / T)``. Probabilities p of a model without logits become
            ``p ** (1 / T)``, normalised: the same.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Rows sum to one.
        """
        check_temperature(temperature)
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
            self._check(X)
            return self._values(X)
        columns = self.logits(X).argmax(axis=1)
        return columns if self.classes_ is None else self.classes_[columns]

    def __sklearn_clone__(self) -> Self:
        # A teacher is fitted, and shared by all students that learn from it.
        return self

    def __repr__(self) -> str:
        known = [repr(self.name)]
        if self.task != "classification":
            known.append(f"task={self.task!r}")
        if self.classes_ is not None:
            known.append(f"n_classes={len(self.classes_)}")
        if self.n_features_in_ is not None:
            known.append(f"n_features={self.n_features_in_}")
        if self.input_range_ is not None:
            low, high = self.input_range_
            known.append(f"input_range=({low:g}, {high:g})")
        return f"{type(self).__name__}({', '.join(known)})"

    def _check(self, X: Any) -> None:
        self._check_inputs(X)
        complaint = self._range_complaint(X)
        if complaint is not None:
            warnings.warn(complaint, InputRangeWarning, stacklevel=_level_outside())

    def _check_inputs(self, X: Any) -> None:
        if _num_samples(X) == 0:
            raise ValueError(f"The teacher {self.name!r} was asked about no rows: X is empty.")
        check_n_features(X, self.n_features_in_, self.name)

    def _range_complaint(self, X: Any) -> str | None:
        return range_complaint(X, self.input_range_, self.name)

    def _logits(self, X: Any) -> np.ndarray:
        """Return checked logits of inputs that are known to be fit."""
        outputs = self._finite_outputs(X)
        single = outputs.shape[1] == 1 and (self.classes_ is None or len(self.classes_) == 2)
        if self.kind == "probabilities":
            if single:
                outputs = np.hstack([1 - outputs, outputs])
            logits = _logarithms(check_probabilities(outputs, len(outputs)))
        else:
            if self.kind is None:
                self._warn_of_probabilities(outputs)
            logits = np.hstack([np.zeros_like(outputs), outputs]) if single else outputs
        if self.classes_ is not None and logits.shape[1] != len(self.classes_):
            raise ValueError(
                f"The teacher {self.name!r} gave {logits.shape[1]} columns for its "
                f"{len(self.classes_)} classes."
            )
        return logits

    def _values(self, X: Any) -> np.ndarray:
        """Return checked values of inputs that are known to be fit."""
        values = self._finite_outputs(X)
        return values[:, 0] if values.shape[1] == 1 else values

    def _finite_outputs(self, X: Any) -> np.ndarray:
        outputs = as_array(self._outputs(X))
        n_samples = _num_samples(X)
        if outputs.dtype.kind not in "fiub":
            raise ValueError(
                f"The teacher {self.name!r} must give numbers. Got an array of {outputs.dtype}."
            )
        if outputs.shape == (n_samples,):
            outputs = outputs[:, np.newaxis]
        if outputs.ndim != 2 or len(outputs) != n_samples or outputs.shape[1] < 1:
            columns = "n_classes" if self.task == "classification" else "n_outputs"
            raise ValueError(
                f"The teacher {self.name!r} must give an array of shape ({n_samples}, {columns}) "
                f"for the {n_samples} rows of X. Got one of shape {outputs.shape}."
            )
        if outputs.dtype.kind != "f" or outputs.dtype.itemsize < 4:
            outputs = outputs.astype(np.float64)
        bad = ~np.isfinite(outputs)
        if self.task == "classification":
            # -inf is the logarithm of probability zero; not every class can have that
            impossible = np.isneginf(outputs)
            bad &= ~impossible | impossible.all(axis=1, keepdims=True)
        rows = bad.any(axis=1)
        if rows.any():
            raise ValueError(
                f"The teacher {self.name!r} returned NaN or infinity for {rows.sum()} of "
                f"{len(rows)} rows (first: row {rows.argmax()}). Check its inputs for missing or "
                "extreme values, and its weights."
            )
        return outputs

    def _warn_of_probabilities(self, outputs: np.ndarray) -> None:
        if outputs.min() < 0 or outputs.max() > 1:
            return
        if outputs.shape[1] == 1:
            suspicious = len(outputs) >= _ROWS_TO_SUSPECT_A_SIGMOID
        else:
            suspicious = np.allclose(outputs.sum(axis=1), 1, rtol=0, atol=1e-4)
        if suspicious:
            warnings.warn(
                f"The outputs of the teacher {self.name!r} look like probabilities, but are taken "
                'as logits, which makes its targets nearly uniform. Pass kind="probabilities" if '
                'it ends in a softmax or sigmoid, kind="logits" if it does not.',
                UserWarning,
                stacklevel=_level_outside(),
            )


def as_array(values: Any) -> np.ndarray:
    """Return an array-like as an array, a PyTorch tensor without its gradient."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def last_line(error: BaseException) -> str:
    """Return where long messages say what happened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]


def _level_outside() -> int:
    """Return the `stacklevel` at which a warning names who called this package.

    Teachers are asked by their users, and by students within the package.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("soft_students."):
        frame, level = frame.f_back, level + 1
    return level


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))


def _check_classes(classes: Any) -> np.ndarray:
    labels = np.asarray(classes)
    if labels.ndim != 1 or not len(labels) or len(set(labels.tolist())) < len(labels):
        raise ValueError(
            "The 'classes' of a teacher must be different labels, one for each column. "
            f"Got {classes!r} instead."
        )
    return labels


def _check_range(input_range: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = map(float, input_range)
        fit = math.isfinite(low) and math.isfinite(high) and low <= high
    except (TypeError, ValueError):
        fit = False
    if not fit:
        raise ValueError(
            "The 'input_range' of a teacher must be two numbers (smallest, largest). "
            f"Got {input_range!r} instead."
        )
    return low, high
