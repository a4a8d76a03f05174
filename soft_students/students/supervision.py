"""Supervision of a student: the `y`, `labels` and `teacher` arguments of every `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from soft_students.sklearn_private import check_sample_weight, num_samples
from soft_students.students.labels import match_classes, read_labels, warn_of_disagreement
from soft_students.targets import check_logits, mix_labels, one_hot, soften

if TYPE_CHECKING:
    from soft_students.teachers import Teacher

#: Returns the targets of new rows. Rows made from rows of X keep the labels of their source rows,
#: whose indices are the second argument; None: the teacher alone.
Ask = Callable[[Any, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class ClassSupervision:
    """Supervision of a classifier, aligned with the rows of X.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Label of each column.
    logits : ndarray of shape (n_samples, n_classes) or None
        The teacher's logits; None without a teacher.
    labels : ndarray of int, shape (n_samples,), or None
        Column of the true class.
    teacher : Teacher or None
    """

    classes: np.ndarray
    logits: np.ndarray | None
    labels: np.ndarray | None
    teacher: Teacher | None

    def targets(self, temperature: float, hard_weight: float) -> np.ndarray:
        """Return soft targets of shape (n_samples, n_classes); one-hot without a teacher."""
        if self.logits is None:
            if self.labels is None:
                raise ValueError("Neither a teacher nor labels are given. Pass one of them.")
            return one_hot(self.labels, len(self.classes))
        if self.labels is None:
            return soften(self.logits, temperature)
        return soften(mix_labels(self.logits, self.labels, hard_weight), temperature)

    def row_weights(self, sample_weight: ArrayLike | str | None) -> ArrayLike | None:
        """Return the weights of the rows.

        Parameters
        ----------
        sample_weight : array-like of shape (n_samples,), "balanced" or None
            "balanced" gives all classes the same total weight, counted by the true labels or,
            without labels, by the teacher's probabilities.

        Raises
        ------
        ValueError
            If `sample_weight` is another string.
        """
        if not isinstance(sample_weight, str):
            return sample_weight
        if sample_weight != "balanced":
            raise ValueError(
                f"sample_weight must be an array of weights or 'balanced'. Got {sample_weight!r}."
            )
        shares = self.targets(1.0, 1.0)
        mass = shares.sum(axis=0)
        present = mass > 0
        of_class = np.zeros(len(mass))
        of_class[present] = len(shares) / (present.sum() * mass[present])
        return shares @ of_class

    def ask_about(self, X: Any, temperature: float) -> np.ndarray:
        """Return the teacher's soft targets of rows without labels."""
        return soften(self.logits_of(X), temperature)

    def logits_of(self, X: Any) -> np.ndarray:
        """Return the teacher's logits of rows without labels."""
        from soft_students.teachers import ArrayTeacher

        if self.teacher is None:
            raise ValueError(
                "X_unlabeled needs a teacher to label it. Pass one, or leave X_unlabeled out."
            )
        if isinstance(self.teacher, ArrayTeacher):
            raise ValueError(
                "X_unlabeled needs a teacher that predicts any rows; an array belongs to one X. "
                "Pass the model that made it."
            )
        return check_logits(self.teacher.logits(X), num_samples(X), len(self.classes))

    def asker(self, temperature: float, hard_weight: float) -> Ask | None:
        """Return a function to the soft targets of new rows made from rows of X.

        None without a teacher.
        """
        from soft_students.teachers import ArrayTeacher

        teacher = self.teacher
        if teacher is None:
            return None

        def ask(X: Any, originals: np.ndarray | None) -> np.ndarray:
            if isinstance(teacher, ArrayTeacher):
                raise ValueError(
                    "A transfer set needs a teacher that predicts any rows; an array belongs to "
                    "one X. Pass the model that made it, or set transfer=None."
                )
            logits = check_logits(teacher.logits(X), num_samples(X), len(self.classes))
            labels = None if self.labels is None or originals is None else self.labels[originals]
            return ClassSupervision(self.classes, logits, labels, None).targets(
                temperature, hard_weight
            )

        return ask


def class_supervision(
    student: BaseEstimator,
    X: Any,
    y: Any,
    labels: ArrayLike | None,
    teacher: Any,
    hard_weight: float | str,
) -> ClassSupervision:
    """Read the arguments of a classifier's fit.

    Parameters
    ----------
    student : BaseEstimator
        Student, for messages.
    X : array-like of shape (n_samples, n_features)
        Rows, in the form passed to the teacher.
    y : object
        A teacher, soft targets of shape (n_samples, n_classes), or labels.
    labels : array-like of shape (n_samples,) or None
        True labels, if `y` is a teacher.
    teacher : object or None
        A teacher or soft targets, if `y` is labels or None.
    hard_weight : float or "auto"
        Weight of the true labels; above zero, they are required.

    Returns
    -------
    ClassSupervision

    Raises
    ------
    ValueError
        If the arguments contradict each other or do not fit `X`.
    """
    from soft_students.teachers import as_teacher  # imports torch, which predicting does without

    name = type(student).__name__
    if teacher is None and (_teaches(y) or _are_probabilities(y)):
        teacher, y = y, None
    if y is not None and labels is not None:
        raise ValueError(
            f"{name}.fit got true labels twice, as y and as labels. Call fit(X, teacher, labels=y) "
            "or fit(X, y, teacher=teacher)."
        )
    labels = y if labels is None else labels
    codes = None
    present: np.ndarray | None = None
    if labels is not None:
        labels = read_labels(labels)
        check_consistent_length(X, labels)
        present, codes = np.unique(labels, return_inverse=True)
    if teacher is None:
        if present is None:
            raise ValueError(
                f"{name} requires y to be passed, but the target y is None. Pass a teacher, soft "
                "targets of shape (n_samples, n_classes), or labels."
            )
        return ClassSupervision(present, None, codes, None)
    if codes is None and (isinstance(hard_weight, str) or hard_weight > 0):
        raise ValueError(
            f"hard_weight={hard_weight!r} mixes in true labels, but {name}.fit got none: pass "
            "fit(X, teacher, labels=y), or set hard_weight=0."
        )
    teacher = as_teacher(teacher)
    if teacher.task != "classification":
        raise ValueError(
            f"{name} needs a teacher that predicts classes, but {teacher!r} predicts values. Use "
            "the regressor of this student."
        )
    logits = check_logits(teacher.logits(X), num_samples(X))
    by_class = teacher.sorted_by_class()
    if by_class is not teacher:
        logits = logits[:, np.argsort(teacher.classes_, kind="stable")]
    classes, columns = match_classes(by_class, logits.shape[1], present)
    if codes is not None and columns is not None:
        if by_class.only_labelled_classes and len(columns) < len(classes):
            logits, classes = logits[:, columns], classes[columns]
            by_class = by_class.with_columns(columns, classes)
            columns = np.arange(len(columns))
        codes = columns[codes]
        warn_of_disagreement(by_class, logits, codes)
    return ClassSupervision(classes, logits, codes, by_class)


@dataclass(frozen=True)
class ValueSupervision:
    """Supervision of a regressor, aligned with the rows of X.

    Parameters
    ----------
    teacher_values : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
        The teacher's values; None without a teacher.
    true : ndarray of the same shape, or None
        True values.
    teacher : Teacher or None
    """

    teacher_values: np.ndarray | None
    true: np.ndarray | None
    teacher: Teacher | None

    def targets(self, hard_weight: float) -> np.ndarray:
        """Return the teacher's values mixed with the true ones; without a teacher, the latter."""
        if self.teacher_values is None:
            if self.true is None:
                raise ValueError("Neither a teacher nor values are given. Pass one of them.")
            return self.true
        return _mix_values(self.teacher_values, self.true, hard_weight)

    def asker(self, hard_weight: float) -> Ask | None:
        """Return a function to the values of new rows, mixed with those of their source rows.

        None without a teacher.
        """
        teacher, true = self.teacher, self.true
        if teacher is None:
            return None

        def ask(rows: Any, originals: np.ndarray | None) -> np.ndarray:
            kept = None if true is None or originals is None else true[originals]
            return _mix_values(_values(teacher, rows), kept, hard_weight)

        return ask


def check_weights(sample_weight: ArrayLike | None, X: Any) -> np.ndarray | None:
    """Return sample weights as an array of float64, or None if there are none.

    Raises
    ------
    ValueError
        If one is negative, or all are zero.
    """
    if sample_weight is None:
        return None
    weights = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Every sample weight is zero: no rows are left to train on.")
    return weights


def value_supervision(
    student: BaseEstimator,
    X: Any,
    y: Any,
    labels: ArrayLike | None,
    teacher: Any,
    hard_weight: float | str,
) -> ValueSupervision:
    """Read the arguments of a regressor's fit.

    Parameters
    ----------
    student, X, y, labels, teacher, hard_weight
        See `class_supervision`. Targets are values of shape (n_samples,) or (n_samples, n_outputs),
        and the teacher is a regressor.

    Returns
    -------
    ValueSupervision
    """
    from soft_students.teachers import as_teacher  # imports torch, which predicting does without

    name = type(student).__name__
    if teacher is None and _teaches(y) and not _is_matrix(y):
        teacher, y = y, None
    if y is not None and labels is not None:
        raise ValueError(
            f"{name}.fit got true values twice, as y and as labels. Call fit(X, teacher, labels=y) "
            "or fit(X, y, teacher=teacher)."
        )
    true = y if labels is None else labels
    if true is not None:
        true = check_array(true, ensure_2d=False, dtype=np.float64, input_name="y")
        if true.ndim == 2 and true.shape[1] == 1:
            true = column_or_1d(true, warn=True)
        check_consistent_length(X, true)
    if teacher is None:
        if true is None:
            raise ValueError(
                f"{name} requires y to be passed, but the target y is None. Pass a teacher or "
                "values."
            )
        return ValueSupervision(None, true, None)
    if true is None and (isinstance(hard_weight, str) or hard_weight > 0):
        raise ValueError(
            f"hard_weight={hard_weight!r} mixes in true values, but {name}.fit got none: pass "
            "fit(X, teacher, labels=y), or set hard_weight=0."
        )
    teacher = as_teacher(teacher, task="regression")
    if teacher.task != "regression":
        raise ValueError(
            f"{name} needs a teacher that predicts values, but {teacher!r} predicts classes. Use "
            "the classifier of this student, or pass the teacher's logits as y."
        )
    teacher_values = _values(teacher, X)
    if true is not None and isinstance(hard_weight, str):
        _check_same_shape(teacher_values, true)
    return ValueSupervision(teacher_values, true, teacher)


def _values(teacher: Teacher, rows: Any) -> np.ndarray:
    values = np.asarray(teacher.predict(rows), dtype=np.float64)
    if len(values) != num_samples(rows) or not np.isfinite(values).all():
        raise ValueError(
            f"The teacher {teacher!r} must return finite values for each row. Got an array of "
            f"shape {values.shape} with {np.count_nonzero(~np.isfinite(values))} non-finite values."
        )
    return values


def _mix_values(
    teacher_values: np.ndarray, true: np.ndarray | None, hard_weight: float
) -> np.ndarray:
    if true is None or hard_weight == 0:
        return teacher_values
    _check_same_shape(teacher_values, true)
    return hard_weight * true + (1 - hard_weight) * teacher_values


def _check_same_shape(teacher_values: np.ndarray, true: np.ndarray) -> None:
    if true.shape != teacher_values.shape:
        raise ValueError(
            f"The true values must have the shape of the teacher's, {teacher_values.shape}. Got "
            f"{true.shape}."
        )


def _is_matrix(y: Any) -> bool:
    """Return whether `y` is an array, or a list of rows, of more than one column."""
    shape = getattr(y, "shape", None)
    if shape is not None:
        return len(shape) == 2 and shape[1] > 1
    return (
        isinstance(y, list | tuple)
        and len(y) > 0
        and all(isinstance(row, list | tuple) and len(row) > 1 for row in y)
        and all(isinstance(value, Real) for row in y for value in row)
    )


def _are_probabilities(y: Any) -> bool:
    """Return whether `y` is one probability per row: numbers in [0, 1], not all integers."""
    if not (hasattr(y, "dtype") or isinstance(y, list | tuple)):
        return False
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    if values.size != len(values) or not np.isfinite(values).all():
        return False
    inside = values.min(initial=0) >= 0 and values.max(initial=0) <= 1
    return bool(inside and (values != np.floor(values)).any())


def _teaches(y: Any) -> bool:
    """Return whether `y` is a teacher, soft targets, or meant as a teacher, not labels."""
    if hasattr(y, "predict") or callable(y) or _is_matrix(y):
        return True
    if isinstance(y, str | os.PathLike) or hasattr(y, "dataset"):
        return True  # a path or a DataLoader: as_teacher raises an error with the remedy
    return isinstance(y, list | tuple) and any(
        hasattr(member, "predict") or callable(member) for member in y
    )
