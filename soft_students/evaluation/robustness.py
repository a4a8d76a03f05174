"""Robustness of students to noisy or missing features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_random_state

from soft_students.evaluation.answers import gather_predictions
from soft_students.evaluation.metrics import get_metric
from soft_students.sklearn_private import num_samples
from soft_students.teachers import ArrayTeacher, as_teacher

STRENGTHS = (0.0, 0.1, 0.2, 0.5, 1.0)
_PERTURBATIONS = ("noise", "dropout")


@dataclass(frozen=True)
class RobustnessCurve:
    """Metrics of a student at increasing strengths of a perturbation.

    Parameters
    ----------
    perturbation : {"noise", "dropout"}
    strengths : ndarray of shape (n_strengths,)
    values : dict of str to ndarray of shape (n_strengths, n_repeats)
        Values by name of the metric.
    """

    perturbation: str
    strengths: np.ndarray
    values: dict[str, np.ndarray]

    def mean(self, metric: str) -> np.ndarray:
        """Return the mean over repeats, of shape (n_strengths,)."""
        return self.values[metric].mean(axis=1)

    def deviation(self, metric: str) -> np.ndarray:
        """Return the standard deviation over repeats, of shape (n_strengths,)."""
        return self.values[metric].std(axis=1)


def robustness(
    student: BaseEstimator,
    X: Any,
    y: ArrayLike | None,
    teacher: Any = None,
    *,
    perturbation: str = "noise",
    strengths: Sequence[float] = STRENGTHS,
    metrics: Sequence[str] | None = None,
    n_repeats: int = 3,
    random_state: int | RandomState | None = None,
) -> RobustnessCurve:
    """Return a student's quality and fidelity on rows with noise or dropped features.

    Student and teacher predict the same perturbed rows: agreement shows the fidelity outside the
    training data. Quality is measured with the labels of the original rows.

    Parameters
    ----------
    student : estimator
        A fitted classifier or regressor.
    X : array-like or DataFrame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or None
        True labels or values; None: no metrics that need them.
    teacher : object, default=None
        Anything that `soft_students.as_teacher` takes, except an array, which cannot predict the
        perturbed rows.
    perturbation : {"noise", "dropout"}, default="noise"
        `add_noise` or `drop_features`.
    strengths : sequence of float, default=(0, 0.1, 0.2, 0.5, 1)
        Noise in standard deviations of each feature, or probability of dropout.
    metrics : sequence of str, default=None
        Names from `METRICS`, except costs. None: accuracy and agreement; for regressors R² to the
        truth and to the teacher.
    n_repeats : int, default=3
        Perturbations at each strength. Each repeat uses one seed for all strengths.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    RobustnessCurve

    Raises
    ------
    ValueError
        If an option is invalid, or a metric lacks labels, a teacher or probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students import DecisionTreeStudentClassifier
    >>> from soft_students.evaluation import robustness
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(X, teacher)
    >>> curve = robustness(student, X, y, teacher, strengths=[0, 2], random_state=0)
    >>> curve.mean("agreement").round(1)
    array([1. , 0.6])
    """
    if perturbation not in _PERTURBATIONS:
        raise ValueError(
            f"The 'perturbation' must be one of {', '.join(map(repr, _PERTURBATIONS))}. "
            f"Got {perturbation!r} instead."
        )
    if n_repeats < 1 or not len(strengths):
        raise ValueError(
            "robustness needs at least one repeat and one strength. Got "
            f"n_repeats={n_repeats} and strengths={strengths!r}."
        )
    classifies = is_classifier(student)
    if teacher is not None:
        teacher = as_teacher(teacher, task="classification" if classifies else "regression")
        if isinstance(teacher, ArrayTeacher):
            raise ValueError(
                "robustness needs a teacher that can predict perturbed rows. Got an array. Pass "
                "the model that made it."
            )
    if metrics is None:
        both = ("accuracy", "agreement") if classifies else ("r2", "r2_to_teacher")
        given = (y is not None, teacher is not None)
        metrics = [name for name, known in zip(both, given, strict=True) if known]
    chosen = [get_metric(name) for name in metrics]
    perturb = add_noise if perturbation == "noise" else drop_features
    generator = check_random_state(random_state)
    seeds = generator.randint(np.iinfo(np.int32).max, size=n_repeats)
    values = {name: np.empty((len(strengths), n_repeats)) for name in metrics}
    for i, strength in enumerate(strengths):
        for j, seed in enumerate(seeds):
            rows = perturb(X, strength, random_state=int(seed))
            of = gather_predictions({"student": student}, rows, y, teacher)["student"]
            for metric in chosen:
                if metric.rows is None or not of.has(metric.needs):
                    raise ValueError(
                        f"The metric {metric.name!r} is a cost, or lacks one of: "
                        f"{', '.join(metric.needs)}."
                    )
                values[metric.name][i, j] = metric.combine(metric.rows(of).mean(axis=0))
    return RobustnessCurve(perturbation, np.asarray(strengths, dtype=np.float64), values)


def add_noise(X: Any, strength: float, random_state: int | RandomState | None = None) -> Any:
    """Return rows with Gaussian noise added to every number.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        Columns of a DataFrame that are not numeric stay unchanged.
    strength : float
        Standard deviation of the noise, in units of each feature's standard deviation in `X`. At
        least 0.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ndarray or DataFrame
        A copy. Integers become floats.

    Raises
    ------
    ValueError
        If the strength is negative.
    """
    if not strength >= 0:
        raise ValueError(f"The strength of noise must not be negative. Got {strength!r}.")
    generator = check_random_state(random_state)

    def noisy(values: np.ndarray) -> np.ndarray:
        drawn = generator.normal(size=values.shape)
        return values + (strength * np.nanstd(values, axis=0) * drawn).astype(values.dtype)

    return _perturbed(X, noisy)


def drop_features(X: Any, strength: float, random_state: int | RandomState | None = None) -> Any:
    """Return rows in which random entries are replaced by the mean of their feature.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        Columns of a DataFrame that are not numeric stay unchanged.
    strength : float
        Probability of replacing an entry, in [0, 1].
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ndarray or DataFrame
        A copy. Integers become floats.

    Raises
    ------
    ValueError
        If the probability is not in [0, 1].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"The probability of dropout must be in [0, 1]. Got {strength!r}.")
    generator = check_random_state(random_state)

    def dropped(values: np.ndarray) -> np.ndarray:
        chosen = generator.random_sample(size=values.shape) < strength
        return np.where(chosen, np.nanmean(values, axis=0).astype(values.dtype), values)

    return _perturbed(X, dropped)


def _perturbed(X: Any, perturb: Any) -> Any:
    if not num_samples(X):
        raise ValueError("No rows to perturb: X is empty.")
    if not hasattr(X, "columns"):
        rows = np.asarray(X)
        return perturb(rows if rows.dtype.kind == "f" else rows.astype(np.float64))
    made = X.copy()
    numbers = X.select_dtypes("number").columns
    if len(numbers):
        values = perturb(X[numbers].to_numpy(dtype=np.float64))
        for place, name in enumerate(numbers):
            made[name] = values[:, place]
    return made
