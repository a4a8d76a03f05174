"""Stores predictions of the teacher and the first-ranked student on the test rows."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from soft_students.datasets import Dataset
from soft_students.evaluation import Evaluation
from soft_students.persistence import atomic_write
from soft_students.persistence.arrays import open_npz

_FILE = "answers.npz"
_EXAMPLES = 12  # rows stored


@dataclass(frozen=True, eq=False)
class ChosenAnswers:
    """Predictions on the test rows, and the rows on which student and teacher differ most.

    Parameters
    ----------
    student : ndarray of str, shape ()
        Name of the student.
    classes : ndarray of str, shape (n_classes,)
        Empty in regression.
    truth, taught, predicted : ndarray of shape (n_test,) or (n_test, n_outputs)
        True, the teacher's and the student's column numbers of classes; values in regression.
    taught_proba, proba : ndarray of shape (n_test, n_classes)
        Probabilities of teacher and student; without columns in regression.
    rows : ndarray of int, shape (n_rows,)
        Indices of test rows, largest difference first. Classes: rows with different predictions, by
        divergence. Values: by distance in standard deviations of the teacher's.
    numbers : ndarray of int, shape (n_test,)
        Number of each test row in the file of the table, from 0.
    X : ndarray of shape (n_rows, n_features)
        Features of these rows.
    mean, deviation : ndarray of shape (n_features,)
        Mean and standard deviation of each feature over the training rows, ignoring missing values.
    """

    student: np.ndarray
    classes: np.ndarray
    truth: np.ndarray
    taught: np.ndarray
    predicted: np.ndarray
    taught_proba: np.ndarray
    proba: np.ndarray
    rows: np.ndarray
    numbers: np.ndarray
    X: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def remove_answers(folder: Path) -> None:
    """Remove the predictions of an earlier comparison, if any."""
    (folder / _FILE).unlink(missing_ok=True)


def write_answers(folder: Path, student: str, test: Evaluation, data: Dataset) -> None:
    """Store the predictions of one student and the teacher in a folder.

    Parameters
    ----------
    folder : Path
    student : str
    test : Evaluation
        Result for the test rows of `data`.
    data : Dataset
    """
    of = test.answers[student]
    none = np.empty((len(of.predicted), 0))
    if of.classes is None:
        rows = _furthest_values(of.predicted, of.taught)
        kept: dict[str, Any] = {
            "classes": np.empty(0, dtype=str),
            "taught_proba": none,
            "proba": none,
        }
    else:
        rows = test.disagreements(student).indices
        kept = {
            "classes": np.array([str(label) for label in of.classes.tolist()]),
            "taught_proba": of.taught_proba,
            "proba": of.proba,
        }
    rows = rows[:_EXAMPLES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns of only missing values
        mean = np.nanmean(data.X_train, axis=0, dtype=np.float64)
        deviation = np.nanstd(data.X_train, axis=0, dtype=np.float64)
    with atomic_write(folder / _FILE) as file:
        np.savez_compressed(
            file,
            student=np.array(student),
            truth=of.truth,
            taught=of.taught,
            predicted=of.predicted,
            rows=rows,
            numbers=np.arange(len(data.X_test)) if data.test_rows is None else data.test_rows,
            X=data.X_test[rows],
            mean=mean,
            deviation=deviation,
            **kept,
        )


def read_answers(folder: str | os.PathLike[str], student: str) -> ChosenAnswers:
    """Read the predictions stored by `write_answers`.

    Parameters
    ----------
    folder : path-like
    student : str
        Expected name of the student.

    Returns
    -------
    ChosenAnswers

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged, or is of another student.
    """
    path = Path(folder) / _FILE
    again = "Run softkd compare again: it does not retrain existing students."
    if not path.is_file():
        raise FileNotFoundError(f"The file of predictions '{path}' does not exist. {again}")
    try:
        with open_npz(path) as held:
            names = [each.name for each in fields(ChosenAnswers)]
            kept = {name: held[name] for name in names if name != "numbers"}
            if "numbers" in held.names:
                kept["numbers"] = held["numbers"]
            else:  # of an earlier version
                kept["numbers"] = np.arange(len(np.atleast_1d(kept["truth"])))
            answers = ChosenAnswers(**kept)
            _check_shapes(answers)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"The file '{path}' is damaged: {error}. {again}") from error
    if str(answers.student) != student:
        raise ValueError(
            f"The predictions '{path}' are of the student '{answers.student}', but the results "
            f"are of '{student}'. {again}"
        )
    return answers


def _check_shapes(answers: ChosenAnswers) -> None:
    """Raise ValueError if arrays differ in their rows or classes."""
    n_test, n_classes = len(np.atleast_1d(answers.truth)), answers.classes.size
    expected = {
        "classes": (n_classes,),
        "taught": answers.truth.shape,
        "predicted": answers.truth.shape,
        "taught_proba": (n_test, n_classes),
        "proba": (n_test, n_classes),
        "rows": (len(np.atleast_1d(answers.X)),),
    }
    for name, shape in expected.items():
        if getattr(answers, name).shape != shape:
            raise ValueError(
                f"{name} must have the shape {shape}, but has {getattr(answers, name).shape}"
            )
    if answers.numbers.ndim != 1 or answers.rows.max(initial=-1) >= len(answers.numbers):
        raise ValueError(f"numbers has the shape {answers.numbers.shape}, too few for the rows")


def _furthest_values(predicted: np.ndarray, taught: Any) -> np.ndarray:
    apart = np.abs(predicted - taught).astype(np.float64).reshape(len(predicted), -1)
    spread = np.asarray(taught, dtype=np.float64).reshape(len(apart), -1).std(axis=0)
    apart = (apart / np.where(spread > 0, spread, 1)).mean(axis=1)
    order = np.argsort(-apart, kind="stable")
    return order[apart[order] > 0]
