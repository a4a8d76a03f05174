"""What the teacher and the first-ranked student say of the test rows, kept for the report."""

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
_EXAMPLES = 12  # rows that are kept


@dataclass(frozen=True, eq=False)
class ChosenAnswers:
    """Answers on the test rows, and the rows on which student and teacher differ most.

    Parameters
    ----------
    student : ndarray of str, shape ()
        Name of the student.
    classes : ndarray of str, shape (n_classes,)
        Empty of values.
    truth, taught, predicted : ndarray of shape (n_test,), or (n_test, n_outputs) of values
        What is true and what teacher and student choose: column numbers of classes, or values.
    taught_proba, proba : ndarray of shape (n_test, n_classes)
        Of teacher and student; of values without columns.
    rows : ndarray of int, shape (n_rows,)
        Test rows, the furthest apart first: of classes by their divergence where the choices
        differ; of values by the distance in standard deviations of the teacher's.
    numbers : ndarray of int, shape (n_test,)
        Number of each test row in the file of the table, from 0.
    X : ndarray of shape (n_rows, n_features)
        These rows.
    mean, deviation : ndarray of shape (n_features,)
        Of the features of all training rows, without missing values.
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
    """Remove what an earlier comparison kept, if anything."""
    (folder / _FILE).unlink(missing_ok=True)


def write_answers(folder: Path, student: str, test: Evaluation, data: Dataset) -> None:
    """Keep the answers of one student and the teacher.

    Parameters
    ----------
    folder : Path
    student : str
    test : Evaluation
        Of the test rows of `data`.
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
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns in which all is missing
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
    """Read what `write_answers` has kept.

    Parameters
    ----------
    folder : path-like
    student : str
        Whose answers they must be.

    Returns
    -------
    ChosenAnswers

    Raises
    ------
    FileNotFoundError
        If there are none.
    ValueError
        If they are damaged, or another student's.
    """
    path = Path(folder) / _FILE
    again = "Run softkd compare again: students that are there are not trained again."
    if not path.is_file():
        raise FileNotFoundError(f"There are no answers '{path}'. {again}")
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
            f"The answers '{path}' are those of the student '{answers.student}', and the results "
            f"of '{student}'. {again}"
        )
    return answers


def _check_shapes(answers: ChosenAnswers) -> None:
    """Refuse arrays that are not of the same rows and classes."""
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
            raise ValueError(f"{name} has the shape {getattr(answers, name).shape}, not {shape}")
    if answers.numbers.ndim != 1 or answers.rows.max(initial=-1) >= len(answers.numbers):
        raise ValueError(f"numbers has the shape {answers.numbers.shape}, too few for the rows")


def _furthest_values(predicted: np.ndarray, taught: Any) -> np.ndarray:
    apart = np.abs(predicted - taught).astype(np.float64).reshape(len(predicted), -1)
    spread = np.asarray(taught, dtype=np.float64).reshape(len(apart), -1).std(axis=0)
    apart = (apart / np.where(spread > 0, spread, 1)).mean(axis=1)
    order = np.argsort(-apart, kind="stable")
    return order[apart[order] > 0]
