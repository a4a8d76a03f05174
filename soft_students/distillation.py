"""The main job from end to end: a student from a teacher, beside the same student from labels."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier

from soft_students.datasets import Dataset
from soft_students.evaluation import evaluate_student, evaluate_teacher
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
        and ``"labels_transfer"`` (on labels, with the rows of its transfer set, which keep the
        label of the row they come from): what `evaluate_student` returns.
    seconds : dict of str to float
        Training time, likewise.
    """

    student: BaseEstimator
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def distill(
    student: BaseEstimator, teacher: Teacher, data: Dataset, *, baselines: bool = True
) -> Distillation:
    """Train a clone of the student on the teacher, compare, and measure all on the test set.

    The test set is used once, at the end; nothing is chosen by it.

    Parameters
    ----------
    student : estimator
        A student of this package. If it has a `hard_weight` above zero, it gets the labels too.
    teacher : Teacher
    data : Dataset
    baselines : bool, default=True
        Also train the same student on labels alone.

    Returns
    -------
    Distillation
    """
    X, X_test = frames(data)
    models: dict[str, BaseEstimator] = {}
    seconds: dict[str, float] = {}

    def fit(name: str, model: BaseEstimator, *args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        models[name] = model.fit(X, *args, **kwargs)
        seconds[name] = time.perf_counter() - start

    fit("student", clone(student), teacher, labels=data.y_train)
    if baselines:
        without_transfer = clone(student)
        if getattr(student, "transfer", None) is not None:
            without_transfer.set_params(transfer=None)
            fit("labels_transfer", clone(student), data.y_train)
        fit("labels", without_transfer, data.y_train)

    said: Any = teacher
    if is_classifier(student):
        probabilities = teacher.predict_proba(data.X_test)
        classes = models["student"].classes_
        said = as_teacher(probabilities, kind="probabilities", classes=classes)
    rows = {"teacher": evaluate_teacher(teacher, data.X_test, data.y_test)}
    for name in ("student", "labels_transfer", "labels"):
        if name in models:
            rows[name] = evaluate_student(models[name], X_test, data.y_test, said)
    return Distillation(models["student"], rows, seconds)


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
