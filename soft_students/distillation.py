"""The main job from end to end: a student from a teacher, beside the same student from labels."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier

from soft_students.datasets import Dataset
from soft_students.evaluation import evaluate_student, evaluate_teacher
from soft_students.teachers import EstimatorTeacher, Teacher, as_teacher


@dataclass
class Distillation:
    """What came out: the student, and how it compares on the test set.

    Parameters
    ----------
    student : estimator
        Fitted.
    rows : dict of str to dict
        By ``"teacher"``, ``"student"``, ``"labels"`` (the same student trained on labels alone)
        and ``"labels_transfer"`` (on labels, with the rows of its transfer set, which keep the
        label of the row they come from): what `evaluate_student` returns.
    seconds : dict of str to float
        Training time, likewise.
    accuracy_by_prediction : dict of str to float, or None
        Accuracy of a soft tree classifier by each value of its parameter `prediction`; None of
        other students.
    """

    student: BaseEstimator
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    accuracy_by_prediction: dict[str, float] | None = None


def distill(
    student: BaseEstimator,
    teacher: Teacher,
    data: Dataset,
    *,
    baselines: bool = True,
    on_student: Callable[[BaseEstimator], object] | None = None,
) -> Distillation:
    """Train a clone of the student on the teacher, compare, and measure all on the test set.

    The test set is used once, at the end; nothing is chosen by it.

    Parameters
    ----------
    student : estimator
        A student of this package. If it has a `hard_weight` above zero, it gets the labels too.
    teacher : Teacher
    data : Dataset
        Where columns have names and the teacher knows those that it was trained on, these are
        taken, in its order.
    baselines : bool, default=True
        Also train the same student on labels alone.
    on_student : callable, default=None
        Called with the student as soon as it is trained, before the baselines are: a place to save
        it.

    Returns
    -------
    Distillation

    Raises
    ------
    ValueError
        If teacher, student and data do not fit each other.
    """
    if teacher.task != data.task:
        teaches, holds = ("values", "labels") if data.classes is not None else ("labels", "values")
        raise ValueError(
            f"The teacher {teacher.name!r} predicts {teaches}, and the target of {data.name!r} "
            f"holds {holds}. Choose data or a teacher of the same task."
        )
    columns = _columns_of(teacher)
    if columns is not None and data.feature_names is not None:
        data = data.select(columns)
    X, _ = frames(data)
    models: dict[str, BaseEstimator] = {}
    seconds: dict[str, float] = {}

    def fit(name: str, model: BaseEstimator, *args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        models[name] = model.fit(X, *args, **kwargs)
        seconds[name] = time.perf_counter() - start

    fit("student", clone(student), teacher, labels=data.y_train)
    if on_student is not None:
        on_student(models["student"])
    if baselines:
        without_transfer = clone(student)
        if getattr(student, "transfer", None) is not None:
            without_transfer.set_params(transfer=None)
            fit("labels_transfer", clone(student), data.y_train)
        fit("labels", without_transfer, data.y_train)
    return Distillation(
        models["student"],
        compare(models, teacher, data),
        seconds,
        _accuracy_by_prediction(models["student"], data),
    )


def compare(
    students: Mapping[str, BaseEstimator], teacher: Teacher | None, data: Dataset
) -> dict[str, dict[str, Any]]:
    """Measure students and their teacher on the test set.

    Parameters
    ----------
    students : dict of str to estimator
        Fitted classifiers, or regressors.
    teacher : Teacher or None
        It is asked once for all students. None leaves out what needs it.
    data : Dataset

    Returns
    -------
    dict of str to dict
        What `evaluate_teacher` returns by ``"teacher"``, if there is one, and what
        `evaluate_student` returns by the name of each student.
    """
    rows: dict[str, dict[str, Any]] = {}
    said: Any = None
    if teacher is not None:
        X_test = held_out_rows(teacher, data)
        rows["teacher"] = evaluate_teacher(teacher, X_test, data.y_test)
        if teacher.task == "classification":
            said = teacher.predict_proba(X_test)
            said = as_teacher(said, kind="probabilities", classes=teacher.classes_)
        else:
            said = as_teacher(teacher.predict(X_test), task="regression")
    for name, student in students.items():
        X_test = held_out_rows(student, data)
        rows[name] = evaluate_student(student, X_test, data.y_test, said)
    return rows


def held_out_rows(model: BaseEstimator | Teacher, data: Dataset) -> Any:
    """Return the test rows as a fitted student or teacher knows them.

    Parameters
    ----------
    model : estimator or Teacher
    data : Dataset

    Returns
    -------
    ndarray or DataFrame
        A DataFrame if both the model and the data have names for the columns: then those of the
        model, in its order. Otherwise the array as it is.
    """
    columns = _columns_of(model)
    if columns is None or data.feature_names is None:
        return data.X_test
    return frames(data.select(columns))[1]


def frames(data: Dataset) -> tuple[Any, Any]:
    """Return training and test rows, as DataFrames where columns have names.

    A student fitted on names finds its columns again in a table of another order.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    X_train, X_test : ndarray or DataFrame
    """
    if data.feature_names is None:
        return data.X_train, data.X_test
    try:
        import pandas as pd
    except ImportError:  # an NPZ table needs no pandas, and its columns have no order to lose
        return data.X_train, data.X_test
    return tuple(
        pd.DataFrame(np.asarray(rows), columns=data.feature_names)
        for rows in (data.X_train, data.X_test)
    )


def _columns_of(model: BaseEstimator | Teacher) -> list[str] | None:
    """Return the names of the columns that a model was trained on, if it knows them."""
    names: Any = None
    if isinstance(model, EstimatorTeacher):
        names = getattr(model.estimator, "feature_names_in_", None)
    elif not isinstance(model, Teacher):
        names = getattr(model, "feature_names_in_", None)
    elif model.record is not None:
        names = model.record.data.get("feature_names")
    return None if names is None else [str(name) for name in names]


def _accuracy_by_prediction(student: BaseEstimator, data: Dataset) -> dict[str, float] | None:
    if not (is_classifier(student) and hasattr(student, "prediction")):
        return None
    X_test = held_out_rows(student, data)
    return {
        prediction: float(
            copy.copy(student).set_params(prediction=prediction).score(X_test, data.y_test)
        )
        for prediction in ("expectation", "greatest_path", "greedy")
    }
