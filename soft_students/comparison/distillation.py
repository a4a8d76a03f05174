"""The main job from end to end: a student from a teacher, beside the same student from labels."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier

from soft_students.datasets import Dataset, check_complete, load_rows
from soft_students.evaluation import evaluate_student, evaluate_teacher
from soft_students.evaluation.columns import columns_of
from soft_students.teachers import Teacher, as_teacher


@dataclass
class Distillation:
    """What came out: the student, and how it compares on the test set.

    Parameters
    ----------
    student : estimator
        Fitted.
    rows : dict of str to dict
        By ``"teacher"``, ``"student"``, ``"labels"`` (the same student trained on labels alone)
        and ``"labels_transfer"`` (on labels, with the rows of its transfer set, where these keep
        the label of the row they come from): what `evaluate_student` returns.
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
    unlabeled: Any = None,
    baselines: bool = True,
    on_student: Callable[[BaseEstimator], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    measure: bool = True,
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
    unlabeled : array-like of shape (n, n_features), default=None
        Further rows, which the teacher labels, with the columns of `training_columns`.
    baselines : bool, default=True
        Also train the same student on labels alone.
    on_student : callable, default=None
        Called with the student as soon as it is trained, before the baselines are: a place to save
        it.
    checkpoint : str or path-like, default=None
        A file for the state of the student's training, if it is one that has the parameter
        `checkpoint`. It is removed when the student is trained.
    resume : bool, default=False
        Go on from `checkpoint` if it is there.
    measure : bool, default=True
        False leaves `Distillation.rows` empty: of the processes that ``torchrun`` starts, all train
        and one needs to measure.

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
    columns = training_columns(teacher, data)
    if columns is not None:
        data = data.select(columns)
    X, _ = frames(data)
    models: dict[str, BaseEstimator] = {}
    seconds: dict[str, float] = {}

    def fit(name: str, model: BaseEstimator, *args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        models[name] = model.fit(X, *args, **kwargs)
        seconds[name] = time.perf_counter() - start

    more = {} if unlabeled is None else {"X_unlabeled": unlabeled}
    learner, own = clone(student), student.get_params(deep=False)
    if checkpoint is not None and "checkpoint" in own:
        learner.set_params(checkpoint=os.fspath(checkpoint), resume=resume)
    fit("student", learner, teacher, labels=data.y_train, **more)
    learner.set_params(**{name: own[name] for name in ("checkpoint", "resume") if name in own})
    if on_student is not None:
        on_student(models["student"])
    if baselines:
        without_transfer = clone(student)
        transfer = getattr(student, "transfer", None)
        if transfer is not None:
            without_transfer.set_params(transfer=None)
            if transfer.keeps_labels:
                fit("labels_transfer", clone(student), data.y_train)
        fit("labels", without_transfer, data.y_train)
    if not measure:
        return Distillation(models["student"], seconds=seconds)
    return Distillation(
        models["student"],
        compare(models, teacher, data),
        seconds,
        _accuracy_by_prediction(models["student"], data),
    )


def training_columns(teacher: Teacher, data: Dataset) -> list[str] | None:
    """Return the names of the columns that `distill` trains a student on.

    Parameters
    ----------
    teacher : Teacher
    data : Dataset

    Returns
    -------
    list of str or None
        Those that the teacher was trained on, if it knows their names; those of the data otherwise.
        None if the data have no names.
    """
    return data.feature_names and (columns_of(teacher) or data.feature_names)


def load_unlabeled(source: str | os.PathLike[str], teacher: Teacher, data: Dataset) -> Any:
    """Load further rows for `distill`, without a target.

    Parameters
    ----------
    source : path-like
        A CSV or Parquet file: columns are found by name, others are left out. Or an array: NPY, or
        NPZ with the array ``X``; then the columns are those of the training rows, in their order.
    teacher : Teacher
    data : Dataset

    Returns
    -------
    DataFrame, or ndarray of shape (n, n_features)

    Raises
    ------
    OSError, ValueError, ImportError
        If the file cannot be read, lacks columns, or has missing values.
    """
    columns = training_columns(teacher, data)
    rows = load_rows(source, columns)
    if not isinstance(rows, np.ndarray):
        if columns is None:
            raise ValueError(
                f"'{source}' is a table with named columns, and those of {data.name!r} have no "
                "names. Give the unlabelled rows as the array 'X' of an .npz file."
            )
        check_complete(rows.to_numpy(), columns, f"'{source}'")
        return rows
    if rows.dtype.kind not in "biuf":
        raise ValueError(f"The array 'X' of '{source}' must hold real numbers. Got {rows.dtype}.")
    n_features = data.X_train.shape[1] if columns is None else len(columns)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"The rows of '{source}' must have the {n_features} features of those that the student "
            f"is trained on. They have {rows.shape[1]}."
        )
    rows = rows.astype(data.X_train.dtype)
    check_complete(rows, columns, f"'{source}'")
    return rows if columns is None else _frame(rows, columns)


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
    columns = columns_of(model)
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
    return _frame(data.X_train, data.feature_names), _frame(data.X_test, data.feature_names)


def _frame(rows: np.ndarray, columns: list[str]) -> Any:
    try:
        import pandas as pd
    except ImportError:  # an NPZ table needs no pandas, and its columns have no order to lose
        return rows
    return pd.DataFrame(np.asarray(rows), columns=columns)


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
