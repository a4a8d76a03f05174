"""Temperature and hard weight by validation: what ``"auto"`` stands for.

A fifth of the rows of `fit` is held out; clones of the student learn from the others, one at each
value of a short list, and the value of the least loss on the held-out rows is taken. Then the
student learns from all rows. The loss is the log-loss against the true labels where they are given,
and the cross-entropy to the teacher's probabilities otherwise; of regressors, the squared error. Of
some hundred rows a fifth is little to choose by: search with cross-validation there.
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

from soft_students.sklearn_private import check_sample_weight, safe_indexing
from soft_students.students.supervision import ClassSupervision, ValueSupervision
from soft_students.targets import one_hot, soften

#: What ``temperature="auto"`` tries; of equally good ones the first is taken.
TEMPERATURES = (1.0, 2.0, 4.0, 0.5)

#: What ``hard_weight="auto"`` tries; of equally good ones the first is taken.
HARD_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)

#: Fraction of the rows that candidates are compared on.
HELD_OUT = 0.2

_CHOSEN = ("temperature", "hard_weight")

# The logarithm of a zero is taken here, as in sklearn.metrics.log_loss.
_LEAST_PROBABILITY = np.finfo(np.float64).eps


def class_settings(
    student: BaseEstimator, X: Any, lesson: ClassSupervision, sample_weight: ArrayLike | None
) -> tuple[float, float]:
    """Return the temperature and the hard weight that a classifier is to learn at.

    A parameter that is a number is returned as it is. For one that is ``"auto"``, a fifth of the
    rows is held out, stratified by label (by the teacher's choice without labels); clones of the
    student learn from the others at each value, and that of the least loss on the held-out rows is
    taken: the log-loss against the true labels or, without labels, the cross-entropy to the
    teacher's probabilities at temperature one. If both are ``"auto"``, the temperature is chosen
    first, at hard weight zero, then the hard weight at that temperature.

    The teacher is not asked again. Unlabelled rows and transfer sets take no part, since they would
    have to be made and asked about for each candidate.

    Parameters
    ----------
    student : estimator
        With the parameters `temperature` and `hard_weight`.
    X : array-like of shape (n_samples, n_features)
        In a form that the student's fit takes.
    lesson : ClassSupervision
        Of the rows of `X`.
    sample_weight : array-like of shape (n_samples,) or None
        It counts in training and in the loss; rows that weigh nothing are left out.

    Returns
    -------
    temperature, hard_weight : float
        One, both, if there is no teacher: labels are all there is.
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
    told = candidates.training
    said = ArrayTeacher(logits[told], kind="logits", classes=classes)
    labels = None if lesson.labels is None else classes[lesson.labels[told]]

    def mistakes(candidate: BaseEstimator, rows: Any) -> np.ndarray:
        logs = np.log(np.maximum(candidate.predict_proba(rows), _LEAST_PROBABILITY))
        return -(wanted[candidates.held_out] * logs).sum(axis=1)

    @cache
    def loss(temperature: float, hard_weight: float) -> float:
        settings = {"temperature": temperature, "hard_weight": hard_weight}
        return candidates.loss(settings, said, labels, mistakes)

    if temperature == "auto":
        at = 0.0 if hard_weight == "auto" else float(hard_weight)
        temperature = min(TEMPERATURES, key=lambda tried: loss(tried, at))
    if hard_weight == "auto":
        hard_weight = min(HARD_WEIGHTS, key=lambda tried: loss(float(temperature), tried))
    return float(temperature), float(hard_weight)


def value_settings(
    student: BaseEstimator, X: Any, lesson: ValueSupervision, sample_weight: ArrayLike | None
) -> float:
    """Return the hard weight that a regressor is to learn at.

    As `class_settings`, with the squared error of the true values; of several outputs, the mean of
    the errors in units of each output's deviation.

    Parameters
    ----------
    student, X, lesson, sample_weight
        As for `class_settings`.

    Returns
    -------
    float
        One if there is no teacher.
    """
    if lesson.said is None:
        return 1.0
    if student.hard_weight != "auto" or lesson.true is None:
        return float(student.hard_weight)
    from soft_students.teachers import ArrayTeacher

    true = lesson.true.reshape(len(lesson.true), -1)
    deviation = true.std(axis=0)
    deviation[deviation == 0] = 1
    candidates = _Candidates(student, X, None, sample_weight)
    said = ArrayTeacher(lesson.said[candidates.training], task="regression")
    labels = lesson.true[candidates.training]

    def mistakes(candidate: BaseEstimator, rows: Any) -> np.ndarray:
        predicted = candidate.predict(rows).reshape(-1, true.shape[1])
        return np.square((predicted - true[candidates.held_out]) / deviation).mean(axis=1)

    return min(
        HARD_WEIGHTS,
        key=lambda tried: candidates.loss({"hard_weight": tried}, said, labels, mistakes),
    )


def check_chosen(student: BaseEstimator, *parameters: str, where: str = "partial_fit") -> None:
    """Refuse ``"auto"`` where rows come a few at a time.

    Parameters
    ----------
    student : estimator
    *parameters : str
        Names of those to check.
    where : str, default="partial_fit"
        The rows come so.
    """
    for name in parameters:
        if student.get_params(deep=False)[name] == "auto":
            raise ValueError(
                f"{type(student).__name__}.{where} cannot choose {name}='auto': it takes all "
                f"rows. Set a number, such as the fitted {name}_ of a fit on some of them."
            )


def read_hard_weight(student: BaseEstimator, metadata: dict[str, Any]) -> None:
    """Take the fitted hard weight out of a bundle's metadata, checked.

    Parameters
    ----------
    student : estimator
    metadata : dict
        Bundles of early versions do not hold it.
    """
    weight = metadata.get("hard_weight")
    if weight is None:
        return
    if not (isinstance(weight, float) and 0 <= weight <= 1):
        raise ValueError(f"hard_weight must be a number in [0, 1], not {weight!r}")
    student.hard_weight_ = weight


class _Candidates:
    """Clones of a student, which differ in some parameters and in nothing else."""

    def __init__(
        self,
        student: BaseEstimator,
        X: Any,
        strata: np.ndarray | None,
        sample_weight: ArrayLike | None,
    ) -> None:
        weights = None
        rows = np.arange(len(X))
        if sample_weight is not None:
            weights = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            rows = np.flatnonzero(weights)
            if not rows.size:
                raise ValueError("Every sample weight is zero: there is nothing to learn from.")
        if strata is not None:
            strata = strata[rows]
            if np.unique(strata, return_counts=True)[1].min() < 2:
                strata = None
        # One seed for all: they see the same rows and the same chances.
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
                f"{rows.size} samples: {error} Give more samples, or set a number."
            ) from error
        self._fixed = {"transfer": None, "random_state": seed}
        if "checkpoint" in student.get_params(deep=False):
            self._fixed["checkpoint"] = None  # there is one for the training on all rows
        self._student, self._weights = student, weights
        self._shown = safe_indexing(X, self.training), safe_indexing(X, self.held_out)

    def loss(
        self,
        settings: dict[str, float],
        said: Any,
        labels: np.ndarray | None,
        mistakes: Callable[[BaseEstimator, Any], np.ndarray],
    ) -> float:
        """Return the mean loss on the held-out rows of a candidate that learns from the others."""
        learning, asked = self._shown
        candidate = clone(self._student).set_params(**self._fixed, **settings)
        candidate.fit(
            learning,
            teacher=said,
            labels=labels,
            sample_weight=None if self._weights is None else self._weights[self.training],
        )
        losses = mistakes(candidate, asked)
        weights = None if self._weights is None else self._weights[self.held_out]
        return float(np.average(losses, weights=weights))
