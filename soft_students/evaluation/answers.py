"""Predictions of models and their teacher, and the truth, with one order of class columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_consistent_length

from soft_students.columns import rows_of
from soft_students.evaluation.fidelity import align_classes
from soft_students.evaluation.task import check_known, columns_of_labels
from soft_students.sklearn_private import num_samples
from soft_students.targets import check_probabilities
from soft_students.teachers import Teacher


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model, with the true and the teacher's ones of the same rows.

    Parameters
    ----------
    predicted : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Column numbers of classes; values in regression.
    proba : ndarray of shape (n_samples, n_classes) or None
        None in regression, and for a model without `predict_proba`.
    truth : ndarray like `predicted`, or None
        None if unknown.
    taught : ndarray like `predicted`, or None
        The teacher's predictions; None without a teacher.
    taught_proba : ndarray of shape (n_samples, n_classes) or None
        The teacher's probabilities.
    classes : ndarray of shape (n_classes,) or None
        Label of each column; None in regression.
    """

    predicted: np.ndarray
    proba: Any = None
    truth: Any = None
    taught: Any = None
    taught_proba: Any = None
    classes: Any = None

    def has(self, needs: Iterable[str]) -> bool:
        """Return whether all of `needs` ("labels", "teacher", "probabilities") are available."""
        available = {
            "labels": self.truth is not None,
            "teacher": self.taught is not None,
            "probabilities": self.proba is not None,
        }
        return all(available[need] for need in needs)


def gather_predictions(
    students: Mapping[str, BaseEstimator], X: Any, y: ArrayLike | None, teacher: Teacher | None
) -> dict[str, Predictions]:
    """Predict once with each student and the teacher, and align the columns of their classes.

    Parameters
    ----------
    students : dict of str to estimator
        Fitted; all classifiers, or all regressors.
    X : array-like or DataFrame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or None
    teacher : Teacher or None

    Returns
    -------
    dict of str to Predictions
        By name of the student; the teacher's, if given, come first as ``"teacher"``.

    Raises
    ------
    ValueError
        If X is empty or differs from y in the number of rows, classifiers and regressors are mixed,
        a model returns invalid probabilities or values that are not finite, or no label is among
        the classes.
    """
    if not students:
        raise ValueError("No student to evaluate: students is empty.")
    if not num_samples(X):
        raise ValueError("No rows to evaluate: X is empty.")
    if y is not None:
        y = np.asarray(y)
        check_consistent_length(X, y)
    tasks = {"classification" if is_classifier(s) else "regression" for s in students.values()}
    if teacher is not None:
        tasks.add(teacher.task)
    if len(tasks) > 1:
        raise ValueError(
            "Students and their teacher must be all classifiers or all regressors. Got both."
        )
    gather = _classes if tasks == {"classification"} else _values
    return gather(students, X, y, teacher)


def ask_probabilities(
    teacher: Teacher, X: Any, student_classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the teacher's probabilities and the label of each column.

    Parameters
    ----------
    teacher : Teacher
    X : array-like of shape (n_samples, n_features)
    student_classes : ndarray of shape (n_student_classes,)
        Labels for the columns of a teacher without `classes_`, if it has as many.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
    classes : ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If the teacher and the student have no class in common.
    """
    proba = teacher.predict_proba(X)
    classes = teacher.classes_
    if classes is None:
        # Unlabelled columns are taken for the student's if their number is the same.
        n_classes = proba.shape[1]
        classes = student_classes if len(student_classes) == n_classes else np.arange(n_classes)
    if not set(classes.tolist()) & set(student_classes.tolist()):
        raise ValueError(
            "The student and the teacher have no class in common. Got "
            f"{student_classes.tolist()!r:.80} and {classes.tolist()!r:.80}. Name the teacher's "
            "columns: as_teacher(teacher, classes=...)."
        )
    return proba, classes


def _classes(
    students: Mapping[str, BaseEstimator], X: Any, y: np.ndarray | None, teacher: Teacher | None
) -> dict[str, Predictions]:
    known = _union(*(student.classes_ for student in students.values()))
    taught: tuple[np.ndarray, np.ndarray] | None = None
    if teacher is not None:
        taught = ask_probabilities(teacher, rows_of(teacher, X), known)
    classes = known if taught is None else _union(known, taught[1])
    if y is not None:
        if not np.isin(y, classes).any():
            raise ValueError(
                f"No label of y is among the classes of the models. Got "
                f"{np.unique(y).tolist()!r:.80} and {classes.tolist()!r:.80}."
            )
        classes = _union(classes, y)
    truth = None if y is None else columns_of_labels(y, classes)
    taught_proba = None if taught is None else align_classes(*taught, to=classes)
    choice = None if taught_proba is None else taught_proba.argmax(axis=1)
    answers = {}
    if taught_proba is not None and choice is not None:
        answers["teacher"] = Predictions(choice, taught_proba, truth, choice, taught_proba, classes)
    for name, student in students.items():
        rows = rows_of(student, X)
        proba = None
        if hasattr(student, "predict_proba"):
            own = np.asarray(student.predict_proba(rows))
            _refuse_nan(name, own)
            proba = align_classes(
                check_probabilities(own, num_samples(X)), student.classes_, classes
            )
        predicted = columns_of_labels(np.asarray(student.predict(rows)), classes)
        if y is not None:
            check_known(y, student.classes_, f"the student {name!r}")
        answers[name] = Predictions(predicted, proba, truth, choice, taught_proba, classes)
    return answers


def _values(
    students: Mapping[str, BaseEstimator], X: Any, y: np.ndarray | None, teacher: Teacher | None
) -> dict[str, Predictions]:
    taught = None if teacher is None else teacher.predict(rows_of(teacher, X))
    answers = {}
    if taught is not None:
        answers["teacher"] = Predictions(taught, truth=y, taught=taught)
    for name, student in students.items():
        predicted = np.asarray(student.predict(rows_of(student, X)))
        _refuse_nan(name, predicted)
        for whose, values in (("y", y), ("teacher", taught)):
            if values is not None and values.shape != predicted.shape:
                raise ValueError(
                    f"The student {name!r} returned values of shape {predicted.shape}, but those "
                    f"of {whose} have shape {values.shape}."
                )
        answers[name] = Predictions(predicted, truth=y, taught=taught)
    return answers


def _refuse_nan(name: str, answers: np.ndarray) -> None:
    bad = ~np.isfinite(answers.reshape(len(answers), -1)).all(axis=1)
    if bad.any():
        raise ValueError(
            f"The student {name!r} returned NaN or infinity for {bad.sum()} of {len(bad)} rows "
            f"(first: row {bad.argmax()}). Check the rows for missing or extreme values."
        )


def _union(*labels: np.ndarray) -> np.ndarray:
    """Return all labels, sorted; refuse to mix numbers and text, which numpy would turn to text."""
    kinds = {"number" if np.asarray(each).dtype.kind in "biuf" else "text" for each in labels}
    if len(kinds) > 1:
        shown = " and ".join(f"{np.unique(each).tolist()!r:.60}" for each in labels)
        raise ValueError(
            f"The labels of all models and of y must be all numbers or all text. Got {shown}."
        )
    return np.unique(np.concatenate([np.asarray(each) for each in labels]))
