"""The interface of a teacher."""

from __future__ import annotations

import copy
import math
import sys
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from soft_students.columns import columns_of
from soft_students.sklearn_private import num_samples
from soft_students.targets import check_probabilities, check_temperature, soften
from soft_students.teachers.class_columns import class_columns, column_positions
from soft_students.teachers.inputs import (
    InputRangeWarning,
    check_columns,
    check_n_features,
    range_complaint,
)

# So many single logits all lie in [0, 1] by chance for about one teacher in a million.
_ROWS_TO_RECOGNISE_A_SIGMOID = 10


@dataclass
class TrainingRecord:
    """Origin of a trained teacher, stored as its attribute `record`.

    Parameters
    ----------
    accuracy : dict of str to float
        Measured accuracy by split: "validation", "test".
    seed : int or None
        Seed of the training, for a single network.
    data : dict
        Description of the training data, in plain JSON values: name, source, numbers of rows, ...
    """

    accuracy: dict[str, float] = field(default_factory=dict)
    seed: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


class Teacher(ABC):
    """Base class of the teachers: a fitted model that predicts and is never changed.

    Parameters
    ----------
    name : str
        Short name for tables and messages.
    task : {"classification", "regression"}, default="classification"
    kind : {"logits", "probabilities"} or None, default="logits"
        Kind of the model's outputs. None means probabilities if they lie in [0, 1] and sum to one
        (with a warning), and logits otherwise. A single column belongs to the second of two
        classes: its probability, or its logit, with logit 0 for the first class.
    classes : array-like of shape (n_classes,), default=None
        Label of each column.
    n_features : int, default=None
        Number of features.
    input_range : tuple of float, default=None
        Smallest and largest value of the training inputs.

    Attributes
    ----------
    name, task
        As given.
    classes_ : ndarray of shape (n_classes,) or None
        Label of each column; None if unknown.
    n_features_in_ : int or None
        Number of features; None if not fixed.
    feature_names_in_ : list of str or None
        Names of the features in their order; None if unknown.
    input_range_ : tuple of float or None
        Inputs far outside give an `InputRangeWarning`; None if unknown.
    record : TrainingRecord or None
        Origin of a teacher of `train_teacher`.
    """

    record: TrainingRecord | None = None
    #: Whether calls may cost money: such a teacher is only timed on request.
    may_cost = False
    #: Whether students leave out classes of the teacher that no label has.
    only_labelled_classes = False

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
        self.classes_ = None if classes is None else check_classes(classes)
        self._column_order: np.ndarray | None = None
        self._model_classes: np.ndarray | None = None
        self.n_features_in_ = n_features
        self.input_range_ = None if input_range is None else _check_range(input_range)

    @abstractmethod
    def _outputs(self, X: Any) -> Any:
        """Return the model's outputs, an array of shape (n,) or (n, n_columns)."""

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, in the form that the model takes; the columns of a DataFrame in the order of
            `feature_names_in_`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logits, or logarithms of the model's probabilities. A probability of zero counts as the
            smallest positive float.

        Raises
        ------
        ValueError
            If `X` has no rows, or other features than the model was trained on, the model does not
            return one row of finite logits for each row of `X`, or the teacher is a regressor.
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
            T > 0 of ``softmax(logits / T)``. Without logits, probabilities p become ``p ** (1 /
            T)``, normalised, which is equivalent.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Rows sum to one.
        """
        check_temperature(temperature)
        return soften(self.logits(X), temperature)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row, or a regressor's values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) for several outputs
            Labels are column numbers if `classes_` is None.
        """
        if self.task == "regression":
            self._check(X)
            return self._values(X)
        columns = self.logits(X).argmax(axis=1)
        return columns if self.classes_ is None else self.classes_[columns]

    @property
    def feature_names_in_(self) -> list[str] | None:
        """Names of the features in their order; None if they are unknown."""
        names = None if self.record is None else self.record.data.get("feature_names")
        return names if isinstance(names, list) else None  # a file may hold anything

    def sorted_by_class(self) -> Self:
        """Return this teacher with its columns in the order of its sorted classes.

        Returns
        -------
        Teacher
            Itself if the classes are unknown, sorted already, or of types that cannot be compared.
        """
        if self.classes_ is None:
            return self
        try:
            order = np.argsort(self.classes_, kind="stable")
        except TypeError:
            return self
        if np.array_equal(order, np.arange(len(order))):
            return self
        return self.with_columns(order, self.classes_[order])

    def with_columns(self, columns: np.ndarray, classes: np.ndarray) -> Self:
        """Return this teacher with some of its columns, in another order.

        Parameters
        ----------
        columns : ndarray of int, shape (n_kept,)
            Positions among the present columns. The probability of those left out is spread over
            the kept ones.
        classes : ndarray of shape (n_kept,)
            Label of each kept column.

        Returns
        -------
        Teacher
        """
        twin = copy.copy(self)
        twin._model_classes = self._output_classes
        twin.classes_ = classes
        twin._column_order = columns if self._column_order is None else self._column_order[columns]
        return twin

    @property
    def _output_classes(self) -> np.ndarray | None:
        """Label of each column of the model's outputs, before `with_columns`."""
        return self.classes_ if self._column_order is None else self._model_classes

    def in_class_order(self, logits: Any) -> Any:
        """Return the model's logits, an array or a tensor, with columns in the order of `classes_`.

        Parameters
        ----------
        logits : ndarray or Tensor of shape (n_samples, n_classes)

        Returns
        -------
        ndarray or Tensor
        """
        return logits if self._column_order is None else logits[:, self._column_order]

    def __sklearn_clone__(self) -> Self:
        # a fitted teacher is shared by all its students
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
        if num_samples(X) == 0:
            raise ValueError(f"X is empty: the teacher {self.name!r} needs at least one row.")
        check_n_features(X, self.n_features_in_, self.name)
        check_columns(X, columns_of(self), self.name)

    def _range_complaint(self, X: Any) -> str | None:
        return range_complaint(X, self.input_range_, self.name)

    def _logits(self, X: Any) -> np.ndarray:
        """Return checked logits of checked inputs."""
        outputs = self._finite_outputs(X)
        if self.kind is None:
            self._recognise_kind(outputs)
        classes = self._output_classes
        single = outputs.shape[1] == 1 and (classes is None or len(classes) == 2)
        if self.kind == "probabilities":
            if single:
                outputs = np.hstack([1 - outputs, outputs])
            logits = _logarithms(check_probabilities(outputs, len(outputs)))
        else:
            logits = np.hstack([np.zeros_like(outputs), outputs]) if single else outputs
        if classes is not None and logits.shape[1] != len(classes):
            raise ValueError(
                f"The teacher {self.name!r} returned {logits.shape[1]} columns for "
                f"{len(classes)} classes."
            )
        return self.in_class_order(logits)

    def _values(self, X: Any) -> np.ndarray:
        """Return checked values of checked inputs."""
        values = self._finite_outputs(X)
        return values[:, 0] if values.shape[1] == 1 else values

    def _finite_outputs(self, X: Any) -> np.ndarray:
        outputs = self._by_name(self._outputs(X))
        n_samples = num_samples(X)
        if outputs.dtype.kind not in "fiub":
            raise ValueError(
                f"The teacher {self.name!r} must return numbers. Got an array of {outputs.dtype}."
            )
        if outputs.shape == (n_samples,):
            outputs = outputs[:, np.newaxis]
        if outputs.ndim != 2 or len(outputs) != n_samples or outputs.shape[1] < 1:
            columns = "n_classes" if self.task == "classification" else "n_outputs"
            raise ValueError(
                f"The teacher {self.name!r} must return an array of shape ({n_samples}, {columns}) "
                f"for the {n_samples} rows of X. Got one of shape {outputs.shape}."
            )
        if outputs.dtype.kind != "f" or outputs.dtype.itemsize < 4:
            outputs = outputs.astype(np.float64)
        bad = ~np.isfinite(outputs)
        if self.task == "classification":
            # -inf is the logarithm of probability zero, which not all classes can have
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

    def _by_name(self, outputs: Any) -> np.ndarray:
        """Return outputs as an array; columns that name classes are put in the classes' order."""
        names = None if self.task == "regression" else class_columns(outputs)
        if names is None:
            return as_array(outputs)
        classes = self._output_classes
        if classes is None:
            classes = self.classes_ = check_classes(names)
        places = column_positions(classes, names)
        if places is None:
            raise ValueError(
                f"The teacher {self.name!r} returned columns named {names[:10]!r}, but its classes "
                f"are {classes.tolist()[:10]!r}. Name the columns like the classes, or "
                "return an array and pass its labels in order: as_teacher(..., classes=[...])."
            )
        return np.asarray(outputs)[:, places]

    def _recognise_kind(self, outputs: np.ndarray) -> None:
        """Take outputs that look like probabilities as such, with a warning; others as logits."""
        single = outputs.shape[1] == 1
        if outputs.min() < 0 or outputs.max() > 1:
            self.kind = "logits"
        elif single and len(outputs) < _ROWS_TO_RECOGNISE_A_SIGMOID:
            return
        elif single or np.allclose(outputs.sum(axis=1), 1, rtol=0, atol=1e-4):
            self.kind = "probabilities"
            sums = "" if single else " and sum to one"
            warnings.warn(
                f"The outputs of the teacher {self.name!r} lie in [0, 1]{sums}: they are taken as "
                'probabilities. If they are logits, pass kind="logits" (--kind logits).',
                UserWarning,
                stacklevel=_level_outside(),
            )
        else:
            self.kind = "logits"


def as_array(values: Any) -> np.ndarray:
    """Convert an array-like to an array; detach and copy a PyTorch tensor to the CPU."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def last_line(error: BaseException) -> str:
    """Return the last line of an error, where long messages name the cause."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]


def _level_outside() -> int:
    """Return the `stacklevel` at which a warning names the caller of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("soft_students."):
        frame, level = frame.f_back, level + 1
    return level


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))


def check_classes(classes: Any) -> np.ndarray:
    """Return the labels of a teacher's columns as an array; they must be distinct."""
    labels = np.asarray(classes)
    if labels.ndim != 1 or not len(labels) or len(set(labels.tolist())) < len(labels):
        raise ValueError(
            f"The 'classes' of a teacher must be distinct labels, one per column. Got {classes!r} "
            "instead."
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
