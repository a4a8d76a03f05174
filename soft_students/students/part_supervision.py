"""Training targets from labelled parts: stored outputs of the teacher and true labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator

from soft_students.labelled.parts import LabelledParts
from soft_students.labelled.windows import LabelledRows
from soft_students.students.supervision import ClassSupervision, ValueSupervision
from soft_students.targets import check_logits, check_probabilities


@dataclass(frozen=True)
class PartSupervision:
    """Converts rows of labelled parts to the supervision of a student's fit.

    Parameters
    ----------
    kind : {"logits", "probabilities", "values"}
        Kind of the stored targets.
    temperature : float or None
        Temperature of stored probabilities.
    classes : ndarray of shape (n_outputs,)
        Label of each column of the targets.
    """

    kind: str
    temperature: float | None
    classes: np.ndarray

    @classmethod
    def of(cls, parts: LabelledParts) -> PartSupervision:
        """Return the converter of some parts."""
        classes = np.arange(parts.n_outputs) if parts.classes is None else parts.classes
        return cls(parts.kind, parts.temperature, classes)

    def of_classes(self, rows: LabelledRows) -> ClassSupervision:
        """Return the supervision of a classifier by some rows.

        Raises
        ------
        ValueError
            If targets are invalid, or a label is none of the classes.
        """
        n_classes = len(self.classes)
        if self.kind == "logits":
            logits = check_logits(rows.targets, len(rows), n_classes)
        else:
            with np.errstate(divide="ignore"):
                logits = np.log(check_probabilities(rows.targets, len(rows), n_classes))
            logits *= self.temperature or 1.0
        labels = None if rows.labels is None else self._columns(rows.labels)
        return ClassSupervision(self.classes, logits, labels, None)

    def of_values(self, rows: LabelledRows) -> ValueSupervision:
        """Return the supervision of a regressor by some rows; one output is a flat array."""
        values = rows.targets.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(
                "The targets of the labelled parts are not all finite. Check the teacher and its "
                "inputs, and run 'softkd label' again."
            )
        values = values[:, 0] if values.shape[1] == 1 else values
        true = None if rows.labels is None else np.asarray(rows.labels, dtype=np.float64)
        return ValueSupervision(values, true, None)

    def _columns(self, labels: np.ndarray) -> np.ndarray:
        order = np.argsort(self.classes)
        places = np.searchsorted(self.classes, labels, sorter=order).clip(max=len(order) - 1)
        columns = order[places]
        unknown = np.unique(labels[self.classes[columns] != labels])
        if unknown.size:
            raise ValueError(
                f"The labels contain {unknown.tolist()[:5]}, which are none of the teacher's "
                f"classes: {self.classes.tolist()[:20]}."
            )
        return columns


@dataclass(frozen=True)
class SoftTargets:
    """Maps rows of labelled parts to the soft targets of a classifier.

    Parameters
    ----------
    supervision : PartSupervision
    temperature, hard_weight : float
    """

    supervision: PartSupervision
    temperature: float
    hard_weight: float

    def __call__(self, rows: LabelledRows) -> np.ndarray:
        """Return targets of shape (n, n_classes)."""
        return self.supervision.of_classes(rows).targets(self.temperature, self.hard_weight)


@dataclass(frozen=True)
class MixedValues:
    """Maps rows of labelled parts to the training values of a regressor.

    Parameters
    ----------
    supervision : PartSupervision
    hard_weight : float
    unit : (ndarray, ndarray) of shape (n_outputs,), default=(0, 1)
        Offset to subtract, and scale to divide by.
    """

    supervision: PartSupervision
    hard_weight: float
    unit: tuple[np.ndarray | float, np.ndarray | float] = (0.0, 1.0)

    def __call__(self, rows: LabelledRows) -> np.ndarray:
        """Return values of shape (n, n_outputs)."""
        values = self.supervision.of_values(rows).targets(self.hard_weight)
        return (values.reshape(len(values), -1) - self.unit[0]) / self.unit[1]


def check_parts(student: BaseEstimator, parts: LabelledParts, task: str) -> None:
    """Raise ValueError if parts were labelled by a teacher of another task.

    Parameters
    ----------
    student : estimator
    parts : LabelledParts
    task : {"classification", "regression"}
        Task of the student.

    Raises
    ------
    ValueError
    """
    if parts.task != task:
        predicted, other = (
            ("values", "regressor") if parts.task == "regression" else ("classes", "classifier")
        )
        raise ValueError(
            f"{type(student).__name__} cannot be fitted on these labelled parts: their teacher "
            f"{parts.teacher!r} predicts {predicted}. Use the {other} of this student."
        )


def check_only_parts(student: BaseEstimator, **given: object) -> None:
    """Raise ValueError if arguments of `fit` are given that labelled parts replace.

    Parameters
    ----------
    student : estimator
    **given : object
        Arguments of `fit` by name; None counts as not given.

    Raises
    ------
    ValueError
    """
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise ValueError(
            f"{type(student).__name__}.fit got {', '.join(wrong)} beside labelled parts, which "
            "include the teacher's outputs and the column of true labels. Pass the parts alone."
        )
