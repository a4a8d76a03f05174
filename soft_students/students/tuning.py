"""Choice of temperature and hard weight by validation, for the value ``"auto"``.

A fifth of the rows of `fit` is held out. Clones of the student are fitted on the others, one for
each value of a short list; the value with the lowest loss on the held-out rows wins, and the
student is fitted on all rows. The loss is the log-loss of the true labels if given, otherwise the
cross-entropy to the teacher's probabilities; for regressors, the squared error. A fifth of a few
hundred rows is a weak basis: use a search with cross-validation then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from soft_students.sklearn_private import safe_indexing
from soft_students.students.supervision import (
    ClassSupervision,
    ValueSupervision,
    check_weights,
)
from soft_students.targets import one_hot, soften

#: Candidates of ``temperature="auto"``; ties go to the first.
TEMPERATURES = (1.0, 2.0, 4.0, 0.5)

#: Candidates of ``hard_weight="auto"``; ties go to the first.
HARD_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)

#: Fraction of the rows held out to compare candidates.
HELD_OUT = 0.2

_CHOSEN = ("temperature", "hard_weight")

# Candidates write no files, which belong to the training on all rows.
_OF_CANDIDATES = {"transfer": None, "checkpoint": None, "snapshots": None}

# The logarithm of a zero is taken here, as in sklearn.metrics.log_loss.
_LEAST_PROBABILITY = np.finfo(np.float64).eps


def class_settings(
    student: BaseEstimator, X: Any, lesson: ClassSupervision, sample_weight: ArrayLike | None
) -> tuple[float, float]:
    """Return the temperature and the hard weight with which to fit a classifier.

    Numbers are returned unchanged. For ``"auto"``, a fifth of the rows is held out, stratified by
    label (without labels, by the teacher's prediction). Clones of the student are fitted on the
    others, and the value with the lowest loss on the held-out rows wins: the log-loss of the true
    labels or, without labels, the cross-entropy to the teacher's probabilities at temperature one.
    If both are ``"auto"``, the temperature is chosen first, at hard weight zero, then the hard
    weight at that temperature.

    The teacher's logits in `lesson` are reused. Unlabelled rows and transfer sets take no part,
    since they would have to be made and labelled for each candidate.

    Parameters
    ----------
    student : estimator
        Student with `temperature` and `hard_weight`.
    X : array-like of shape (n_samples, n_features)
        Rows, in a form that the student's fit takes.
    lesson : ClassSupervision
        Supervision of the rows of `X`.
    sample_weight : array-like of shape (n_samples,) or None
        Weights in training and in the loss; rows of weight zero are left out.

    Returns
    -------
    temperature, hard_weight : float
        Both are 1 without a teacher.
    """
    if lesson.logits is None:
        return 1.0, 1.0
    temperature, hard_weight = student.temperature, student.hard_weight
    if "auto" not in (temperature, hard_weight):
        return float(temperature), float(hard_weight)
    from soft_students.teachers import ArrayTeacher

    logits, classes = lesson.logits, lesson.classes
    if lesson.labels is None:
        wanted, strata = soften(logits), logits.argmax(axis=1)
    else:
        wanted, strata = one_hot(lesson.labels, len(classes)), lesson.labels
    candidates = _Candidates(student, X, strata, sample_weight)
    training = candidates.training
    teacher = ArrayTeacher(logits[training], kind="logits", classes=classes)
    labels = None if lesson.labels is None else classes[lesson.labels[training]]

    def losses(candidate: BaseEstimator, rows: Any) -> np.ndarray:
        logs = np.log(np.maximum(candidate.predict_proba(rows), _LEAST_PROBABILITY))
        return -(wanted[candidates.held_out] * logs).sum(axis=1)

    @cache
    def loss(temperature: float, hard_weight: float) -> float:
        settings = {"temperature": temperature, "hard_weight": hard_weight}
        return candidates.loss(settings, teacher, labels, losses)

    if temperature == "auto":
        at = 0.0 if hard_weight == "auto" else float(hard_weight)
        temperature = min(TEMPERATURES, key=lambda tried: loss(tried, at))
    if hard_weight == "auto":
        hard_weight = min(HARD_WEIGHTS, key=lambda tried: loss(float(temperature), tried))
    return float(temperature), float(hard_weight)


def value_settings(
    student: BaseEstimator, X: Any, lesson: ValueSupervision, sample_weight: ArrayLike | None
) -> float:
    """Return the hard weight with which to fit a regressor.

    Chosen as in `class_settings`, by the squared error of the true values; for several outputs, by
    its mean in units of each output's variance.

    Parameters
    ----------
    student, X, lesson, sample_weight
        See `class_settings`.

    Returns
    -------
    float
        Hard weight; 1 without a teacher.
    """
    if lesson.teacher_values is None:
        return 1.0
    if student.hard_weight != "auto" or lesson.true is None:
        return float(student.hard_weight)
    from soft_students.teachers import ArrayTeacher

    true = lesson.true.reshape(len(lesson.true), -1)
    deviation = true.std(axis=0)
    deviation[deviation == 0] = 1
    candidates = _Candidates(student, X, None, sample_weight)
    teacher = ArrayTeacher(lesson.teacher_values[candidates.training], task="regression")
    labels = lesson.true[candidates.training]

    def losses(candidate: BaseEstimator, rows: Any) -> np.ndarray:
        predicted = candidate.predict(rows).reshape(-1, true.shape[1])
        return np.square((predicted - true[candidates.held_out]) / deviation).mean(axis=1)

    return min(
        HARD_WEIGHTS,
        key=lambda tried: candidates.loss({"hard_weight": tried}, teacher, labels, losses),
    )


def check_chosen(student: BaseEstimator, *parameters: str, where: str = "partial_fit") -> None:
    """Raise ValueError if a parameter is ``"auto"`` where not all rows are available at once.

    Parameters
    ----------
    student : estimator
    *parameters : str
        Names of the parameters to check.
    where : str, default="partial_fit"
        Name of the method, for the message.
    """
    for name in parameters:
        if student.get_params(deep=False)[name] == "auto":
            raise ValueError(
                f"{type(student).__name__}.{where} cannot choose {name}='auto', which needs all "
                f"rows. Set a number, such as the {name}_ of a fit on some of them."
            )


class _Candidates:
    """Clones of a student that differ in the chosen parameters only."""

    def __init__(
        self,
        student: BaseEstimator,
        X: Any,
        strata: np.ndarray | None,
        sample_weight: ArrayLike | None,
    ) -> None:
        weights = check_weights(sample_weight, X)
        rows = np.arange(len(X)) if weights is None else np.flatnonzero(weights)
        if strata is not None:
            strata = strata[rows]
            if np.unique(strata, return_counts=True)[1].min() < 2:
                strata = None
        # one seed for all: the same rows and random numbers
        seed = int(check_random_state(student.random_state).randint(np.iinfo(np.int32).max))
        try:
            self.training, self.held_out = train_test_split(
                rows, test_size=HELD_OUT, random_state=seed, stratify=strata
            )
        except ValueError as error:
            parameters = student.get_params(deep=False)
            autos = [f"{n}='auto'" for n in _CHOSEN if parameters.get(n) == "auto"]
            raise ValueError(
                f"{' and '.join(autos)} of {type(student).__name__} cannot hold out a fifth of "
                f"{rows.size} samples: {error} Pass more samples, or set a number."
            ) from error
        own = student.get_params(deep=False)
        self._fixed: dict[str, Any] = {n: v for n, v in _OF_CANDIDATES.items() if n in own} | {
            "random_state": seed
        }
        if "method_params" in own:  # both parameters are those of soft targets
            self._fixed |= {"method": "kd", "method_params": None}
        self._student, self._weights = student, weights
        self._rows = safe_indexing(X, self.training), safe_indexing(X, self.held_out)

    def loss(
        self,
        settings: dict[str, float],
        teacher: Any,
        labels: np.ndarray | None,
        losses_of: Callable[[BaseEstimator, Any], np.ndarray],
    ) -> float:
        """Return the mean loss on the held-out rows of a candidate fitted on the others."""
        training_rows, held_out_rows = self._rows
        candidate = clone(self._student).set_params(**self._fixed, **settings)
        candidate.fit(
            training_rows,
            teacher=teacher,
            labels=labels,
            sample_weight=None if self._weights is None else self._weights[self.training],
        )
        losses = losses_of(candidate, held_out_rows)
        weights = None if self._weights is None else self._weights[self.held_out]
        return float(np.average(losses, weights=weights))
