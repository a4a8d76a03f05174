"""Quality, fidelity and cost of one student or teacher, as the row of a result table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score

from soft_students.evaluation.answers import ask_probabilities
from soft_students.evaluation.cost import bundle_bytes, latency_us, parameter_bytes
from soft_students.evaluation.fidelity import agreement, align_classes, kl_to_teacher
from soft_students.evaluation.task import check_known
from soft_students.teachers import as_teacher


def evaluate_student(
    student: BaseEstimator, X: Any, y: ArrayLike, teacher: Any = None
) -> dict[str, float | int | None]:
    """Measure a student on labelled rows.

    Parameters
    ----------
    student : estimator
        A fitted classifier or regressor.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows used in the training of neither the student nor the teacher.
    y : array-like of shape (n_samples,)
        True labels or values.
    teacher : teacher, default=None
        Anything that `soft_students.as_teacher` takes. For several students, pass the array of its
        outputs for `X`, which are then computed only once.

    Returns
    -------
    dict
        With these keys, in this order, for a classifier:

        ``accuracy`` : float
            Fraction of rows predicted correctly.
        ``agreement`` : float or None
            Fraction of rows on which student and teacher predict the same label; None without a
            teacher.
        ``kl_to_teacher`` : float or None
            Mean over rows of KL(teacher || student), in nats, at temperature one. None without a
            teacher or `predict_proba`.
        ``bytes`` : int or None
            Size of the student's bundle; None if it cannot be saved as one (a Pipeline, say).
        ``latency_us`` : float
            Microseconds for one `predict` on one row (`soft_students.evaluation.latency_us`).

        For a regressor the first three are ``r2``, ``r2_to_teacher`` (with the teacher's values
        instead of the true ones) and ``mse_to_teacher``.

    Raises
    ------
    ValueError
        If `X`, `y` and the teacher's outputs differ in their number of rows, or the student has no
        class in common with the teacher or with `y`.

    Warns
    -----
    UserWarning
        If `y` has labels that the student cannot predict; they count as wrong.
    """
    if not is_classifier(student):
        return _evaluate_regressor(student, X, y, teacher)
    predicted = student.predict(X)
    check_known(np.asarray(y), student.classes_, "the student")
    chosen_alike = divergence = None
    if teacher is not None:
        teacher_proba, teacher_classes = ask_probabilities(as_teacher(teacher), X, student.classes_)
        chosen_alike = agreement(predicted, teacher_classes[teacher_proba.argmax(axis=1)])
        if hasattr(student, "predict_proba"):
            labels = np.union1d(student.classes_, teacher_classes)
            divergence = kl_to_teacher(
                align_classes(student.predict_proba(X), student.classes_, labels),
                align_classes(teacher_proba, teacher_classes, labels),
            )
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "agreement": chosen_alike,
        "kl_to_teacher": divergence,
        "bytes": _bytes(student),
        "latency_us": latency_us(student, X),
    }


def evaluate_teacher(teacher: Any, X: Any, y: ArrayLike) -> dict[str, float | int | None]:
    """Measure a teacher on labelled rows, for comparison with its students.

    Parameters
    ----------
    teacher : teacher
        Anything that `soft_students.as_teacher` takes and that can predict any rows (no array).
    X : array-like or DataFrame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        True labels or values.

    Returns
    -------
    dict
        With the keys of `evaluate_student`. The teacher's agreement with itself is one, its
        divergence zero; ``bytes`` is the size of its parameters in memory, None if unknown.
    """
    teacher = as_teacher(teacher)
    quality: dict[str, float | int | None]
    if teacher.task == "classification":
        if teacher.classes_ is not None:
            check_known(np.asarray(y), teacher.classes_, f"the teacher {teacher.name!r}")
        accuracy = float(accuracy_score(y, teacher.predict(X)))
        quality = {"accuracy": accuracy, "agreement": 1.0, "kl_to_teacher": 0.0}
    else:
        r2 = float(r2_score(y, teacher.predict(X)))
        quality = {"r2": r2, "r2_to_teacher": 1.0, "mse_to_teacher": 0.0}
    # A function may be a paid service: it gets no calls only to measure the time.
    latency = None if teacher.may_cost else latency_us(teacher, X)
    return quality | {"bytes": parameter_bytes(teacher), "latency_us": latency}


def _evaluate_regressor(
    student: BaseEstimator, X: Any, y: ArrayLike, teacher: Any
) -> dict[str, float | int | None]:
    predicted = student.predict(X)
    taught = None if teacher is None else as_teacher(teacher).predict(X)
    return {
        "r2": float(r2_score(y, predicted)),
        "r2_to_teacher": None if taught is None else float(r2_score(taught, predicted)),
        "mse_to_teacher": None if taught is None else float(mean_squared_error(taught, predicted)),
        "bytes": _bytes(student),
        "latency_us": latency_us(student, X),
    }


def _bytes(student: BaseEstimator) -> int | None:
    try:
        return bundle_bytes(student)
    except TypeError:
        return None  # not a registered student, or a parameter that bundles refuse
