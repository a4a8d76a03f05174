"""Distils a student from a teacher, and compares it with the same student trained on labels."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier

from soft_students.columns import columns_of
from soft_students.datasets import Dataset, check_complete, load_rows
from soft_students.evaluation import evaluate_student, evaluate_teacher
from soft_students.teachers import Teacher, as_teacher


@dataclass
class Distillation:
    """Result of a distillation: the student, and its comparison on the test set.

    Parameters
    ----------
    student : estimator
        Fitted.
    rows : dict of str to dict
        Results of `evaluate_student` for ``"teacher"``, ``"student"``, ``"labels"`` (the same
        student trained only on labels) and ``"labels_transfer"`` (on labels, with the transfer set,
        if its rows keep the label of their source row).
    seconds : dict of str to float
        Training time, by the same keys.
    accuracy_by_prediction : dict of str to float, or None
        Accuracy of a soft tree classifier for each value of its parameter `prediction`; None for
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
    """Train a clone of the student on the teacher, and compare it with baselines on the test set.

    The test set is used once, at the end; nothing is chosen by it.

    Parameters
    ----------
    student : estimator
        A student of this package. Labels are used if its `hard_weight` is above zero.
    teacher : Teacher
    data : Dataset
        If columns have names and the teacher records its training columns, those are used, in its
        order.
    unlabeled : array-like of shape (n, n_features), default=None
        Further rows for the teacher to label, with the columns of `training_columns`.
    baselines : bool, default=True
        Whether to train the same student on labels as well.
    on_student : callable, default=None
        Called with the trained student before the baselines are trained, for example to save it.
    checkpoint : str or path-like, default=None
        File for the state of the student's training, if the student has the parameter `checkpoint`.
        It is removed after the training.
    resume : bool, default=False
        Whether to continue from `checkpoint` if it exists.
    measure : bool, default=True
        False leaves `Distillation.rows` empty: with ``torchrun`` all processes train, but only one
        needs to measure.

    Returns
    -------
    Distillation

    Raises
    ------
    ValueError
        If teacher, student and data do not match.
    """
    if teacher.task != data.task:
        teaches, holds = ("values", "labels") if data.classes is not None else ("labels", "values")
        raise ValueError(
            f"The teacher {teacher.name!r} predicts {teaches}, but the target of {data.name!r} "
            f"has {holds}. Choose data or a teacher of the same task."
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
        made = {n: own[n] for n in ("transfer", "augment") if own.get(n) is not None}
        if made:
            without_transfer.set_params(**dict.fromkeys(made))
            if all(each.keeps_labels for each in made.values()):
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
    """Return the names of the columns on which `distill` trains a student.

    Parameters
    ----------
    teacher : Teacher
    data : Dataset

    Returns
    -------
    list of str or None
        The teacher's training columns if recorded, otherwise those of the data. None if the data
        have no names.
    """
    return data.feature_names and (columns_of(teacher) or data.feature_names)


def load_unlabeled(source: str | os.PathLike[str], teacher: Teacher, data: Dataset) -> Any:
    """Load further rows for `distill`, without a target.

    Parameters
    ----------
    source : path-like
        A CSV or Parquet file, from which columns are selected by name; or an array, NPY or NPZ with
        the array ``X``, with the columns of the training rows in the same order.
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
                f"'{source}' is a table with named columns, but those of {data.name!r} have no "
                "names. Save the unlabelled rows as the array 'X' of an .npz file."
            )
        check_complete(rows.to_numpy(), columns, f"'{source}'")
        return rows
    if rows.dtype.kind not in "biuf":
        raise ValueError(f"The array 'X' of '{source}' must hold real numbers. Got {rows.dtype}.")
    n_features = data.X_train.shape[1] if columns is None else len(columns)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"The rows of '{source}' must have the {n_features} features of the training rows. "
            f"Got {rows.shape[1]}."
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
        Predicts once for all students. None: no figures that need it.
    data : Dataset

    Returns
    -------
    dict of str to dict
        Result of `evaluate_teacher` as ``"teacher"``, if given, and of `evaluate_student` by the
        name of each student.
    """
    rows: dict[str, dict[str, Any]] = {}
    taught: Any = None
    if teacher is not None:
        X_test = held_out_rows(teacher, data)
        rows["teacher"] = evaluate_teacher(teacher, X_test, data.y_test)
        if teacher.task == "classification":
            taught = teacher.predict_proba(X_test)
            taught = as_teacher(taught, kind="probabilities", classes=teacher.classes_)
        else:
            taught = as_teacher(teacher.predict(X_test), task="regression")
    for name, student in students.items():
        X_test = held_out_rows(student, data)
        rows[name] = evaluate_student(student, X_test, data.y_test, taught)
    return rows


def held_out_rows(model: BaseEstimator | Teacher, data: Dataset) -> Any:
    """Return the test rows with the training columns of a fitted student or teacher.

    Parameters
    ----------
    model : estimator or Teacher
    data : Dataset

    Returns
    -------
    ndarray or DataFrame
        A DataFrame with the model's columns, in its order, if both the model and the data have
        names for the columns. Otherwise the array unchanged.
    """
    columns = columns_of(model)
    if columns is None or data.feature_names is None:
        return data.X_test
    return frames(data.select(columns))[1]


def frames(data: Dataset) -> tuple[Any, Any]:
    """Return training and test rows, as DataFrames if columns have names.

    A student fitted on a DataFrame selects its columns by name, in any order.

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
    except ImportError:  # an NPZ table needs no pandas, and has no names
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
