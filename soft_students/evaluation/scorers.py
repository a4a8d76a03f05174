"""Scorers of fidelity to the teacher, for scikit-learn's searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import mean_squared_error, r2_score

from soft_students.choices import unknown
from soft_students.evaluation.answers import ask_probabilities
from soft_students.evaluation.fidelity import (
    agreement,
    align_classes,
    kl_to_teacher,
    soft_cross_entropy,
)
from soft_students.teachers import Teacher, as_teacher


class TeacherScorer:
    """A scikit-learn scorer of a student's fidelity to its teacher; greater is better.

    Made by `get_scorer`.

    Parameters
    ----------
    name : str
        One of `get_scorer_names`.
    teacher : object, default=None
        Anything that `soft_students.as_teacher` takes and that can predict any rows (no array).
        None: the `teacher_` of the scored estimator.
    """

    def __init__(self, name: str, teacher: Any = None) -> None:
        self.name = name
        self.teacher = teacher

    def __call__(self, estimator: BaseEstimator, X: Any, y: ArrayLike | None = None) -> float:
        """Return the score of an estimator on some rows.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows, in the form passed to the teacher.
        y : ignored
            Labels are not used, only the teacher's predictions.

        Returns
        -------
        float
        """
        return _SCORES[self.name](estimator, X, self._teacher(estimator))

    def __repr__(self) -> str:
        about = "" if self.teacher is None else f", teacher={self.teacher!r:.60}"
        return f"get_scorer({self.name!r}{about})"

    def _teacher(self, estimator: BaseEstimator) -> Teacher:
        teacher = self.teacher
        if teacher is None:
            teacher = getattr(estimator, "teacher_", None)
        if teacher is None:
            raise ValueError(
                f"The scorer {self.name!r} needs a teacher, and {type(estimator).__name__} keeps "
                f"none. Pass it: get_scorer({self.name!r}, teacher=teacher); or put the student "
                "into a DistilledClassifier or DistilledRegressor, which keep theirs."
            )
        task = "regression" if self.name in _OF_VALUES else "classification"
        if not isinstance(teacher, Teacher):
            teacher = as_teacher(teacher, task=task)
        if teacher.task != task:
            predicts = "values" if task == "regression" else "classes"
            raise ValueError(
                f"The scorer {self.name!r} needs a teacher of {predicts}. Got {teacher!r} instead."
            )
        return teacher


def get_scorer(name: str, teacher: Any = None) -> TeacherScorer:
    """Return a scorer of fidelity by name, for ``scoring=`` of scikit-learn's searches.

    =====================================  =======================================================
    ``agreement``                          fraction of rows with the same predicted class
    ``neg_soft_cross_entropy``             minus `soft_cross_entropy`
    ``neg_kl_to_teacher``                  minus `kl_to_teacher`
    ``r2_to_teacher``                      R² with the teacher's values instead of the true ones
    ``neg_mean_squared_error_to_teacher``  minus the mean squared difference of values
    =====================================  =======================================================

    Searches maximise the score; losses are therefore negated and named ``neg_``, as in
    scikit-learn. A loss's name without ``neg_`` works as well.

    Parameters
    ----------
    name : str
    teacher : object, default=None
        Teacher that predicts the scored rows. None: the `teacher_` of a `DistilledClassifier` or
        `DistilledRegressor`; with `cross_fit`, it is fitted on the training rows only.

    Returns
    -------
    TeacherScorer

    Raises
    ------
    ValueError
        If the name is unknown.

    See Also
    --------
    get_scorers : Several scorers at once.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from soft_students import DecisionTreeStudentClassifier, DistilledClassifier
    >>> from soft_students.evaluation import get_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = DecisionTreeStudentClassifier(random_state=0)
    >>> search = GridSearchCV(
    ...     DistilledClassifier(student, teacher),
    ...     {"student__max_depth": [1, 4]},
    ...     scoring=get_scorer("neg_kl_to_teacher"),
    ... )
    >>> search.fit(X, y).best_params_
    {'student__max_depth': 4}
    """
    if name in _SCORES:
        return TeacherScorer(name, teacher)
    if f"neg_{name}" in _SCORES:
        return TeacherScorer(f"neg_{name}", teacher)
    raise ValueError(unknown(get_scorer_names(), name, "scorer"))


def get_scorers(*names: str, teacher: Any = None) -> dict[str, TeacherScorer]:
    """Return several scorers, for multi-metric searches and `cross_validate`.

    Parameters
    ----------
    *names : str
        As for `get_scorer`.
    teacher : object, default=None
        As for `get_scorer`.

    Returns
    -------
    dict of str to TeacherScorer
        By full name. Add scikit-learn's own: ``{**get_scorers("agreement"), "accuracy":
        "accuracy"}``.

    Examples
    --------
    >>> from soft_students.evaluation import get_scorers
    >>> list(get_scorers("agreement", "kl_to_teacher"))
    ['agreement', 'neg_kl_to_teacher']
    """
    scorers = (get_scorer(name, teacher) for name in names)
    return {scorer.name: scorer for scorer in scorers}


def get_scorer_names() -> list[str]:
    """Return the names that `get_scorer` takes.

    Examples
    --------
    >>> from soft_students.evaluation import get_scorer_names
    >>> get_scorer_names()[:2]
    ['agreement', 'neg_kl_to_teacher']
    """
    return sorted(_SCORES)


def _agreement(student: BaseEstimator, X: Any, teacher: Teacher) -> float:
    proba, classes = ask_probabilities(teacher, X, student.classes_)
    return agreement(student.predict(X), classes[proba.argmax(axis=1)])


def _neg_soft_cross_entropy(student: BaseEstimator, X: Any, teacher: Teacher) -> float:
    return -soft_cross_entropy(*_probabilities(student, X, teacher))


def _neg_kl_to_teacher(student: BaseEstimator, X: Any, teacher: Teacher) -> float:
    return -kl_to_teacher(*_probabilities(student, X, teacher))


def _r2_to_teacher(student: BaseEstimator, X: Any, teacher: Teacher) -> float:
    return float(r2_score(teacher.predict(X), student.predict(X)))


def _neg_mean_squared_error(student: BaseEstimator, X: Any, teacher: Teacher) -> float:
    return -float(mean_squared_error(teacher.predict(X), student.predict(X)))


def _probabilities(
    student: BaseEstimator, X: Any, teacher: Teacher
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of student and teacher, with the same order of columns."""
    proba, classes = ask_probabilities(teacher, X, student.classes_)
    labels = np.union1d(student.classes_, classes)
    return (
        align_classes(student.predict_proba(X), student.classes_, labels),
        align_classes(proba, classes, labels),
    )


_SCORES: dict[str, Callable[[BaseEstimator, Any, Teacher], float]] = {
    "agreement": _agreement,
    "neg_soft_cross_entropy": _neg_soft_cross_entropy,
    "neg_kl_to_teacher": _neg_kl_to_teacher,
    "r2_to_teacher": _r2_to_teacher,
    "neg_mean_squared_error_to_teacher": _neg_mean_squared_error,
}
_OF_VALUES = {"r2_to_teacher", "neg_mean_squared_error_to_teacher"}
