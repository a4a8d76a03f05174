"""All metrics of several models, with confidence intervals, as one tidy table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import confusion_matrix

from soft_students.choices import choose
from soft_students.columns import rows_of
from soft_students.evaluation.answers import Predictions, gather_predictions
from soft_students.evaluation.cost import Timing, n_threads
from soft_students.evaluation.fidelity import Disagreements, disagreements
from soft_students.evaluation.intervals import Interval, redrawn_means, resampled_means
from soft_students.evaluation.metrics import METRICS, Metric, get_metric
from soft_students.evaluation.significance import McNemarResult, mcnemar
from soft_students.teachers import ArrayTeacher, Teacher, as_teacher

if TYPE_CHECKING:
    import pandas as pd

_TEACHER = "teacher"  # name of the teacher in the table
_QUARTILES = 1.349  # standard deviations from one quartile of a normal distribution to the other


@dataclass(frozen=True)
class Evaluation:
    """Metrics of several models, with intervals.

    Parameters
    ----------
    rows : list of dict
        One for each model and metric, with the keys ``model``, ``metric``, ``value``, ``low``,
        ``high``, ``interval``, ``unit`` and ``direction``. `interval` is the kind of `low` and
        `high`: ``"bootstrap"`` over rows, ``"quartiles"`` of timed calls, or None. Unknown values
        are None.
    answers : dict of str to Predictions
        Predictions of each model.
    confidence : float
        Confidence level of the bootstrap intervals.
    n_samples : int
        Number of evaluated rows.
    threads : int
        Threads allowed to numerical libraries during the timed calls.
    """

    rows: list[dict[str, Any]]
    answers: dict[str, Predictions]
    confidence: float
    n_samples: int
    threads: int

    def frame(self) -> pd.DataFrame:
        """Return `rows` as a DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "Evaluation.frame needs pandas, which is not installed. Install it: pip install "
                "'soft-students[tables]'; or take Evaluation.rows, a list of dictionaries."
            ) from error
        return pd.DataFrame(self.rows)

    def wide(self) -> dict[str, dict[str, float | None]]:
        """Return the values by model and metric, for a table with one line per model."""
        table: dict[str, dict[str, float | None]] = {}
        for row in self.rows:
            table.setdefault(row["model"], {})[row["metric"]] = row["value"]
        return table

    def redrawn(
        self, metrics: Iterable[str], *, n_draws: int = 1000, random_state: int | None = 0
    ) -> dict[str, dict[str, np.ndarray]]:
        """Return metrics as they would come out if they were measured again.

        Metrics of rows are computed on bootstrap resamples, the same for all models and metrics.
        Times are drawn from a normal distribution with the quartiles of the timed calls, which is
        wider than the error of their median: it stands for what differs from run to run.

        Parameters
        ----------
        metrics : iterable of str
        n_draws : int, default=1000
        random_state : int or None, default=0

        Returns
        -------
        dict of str to dict of str to ndarray of shape (n_draws,)
            By model and metric, without those that are exact, such as bytes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from soft_students import DecisionTreeStudentClassifier
        >>> from soft_students.evaluation import evaluate
        >>> X, y = load_iris(return_X_y=True)
        >>> student = DecisionTreeStudentClassifier(max_depth=1).fit(X, y)
        >>> drawn = evaluate(student, X, y, metrics=["accuracy"]).redrawn(["accuracy"])
        >>> round(drawn["student"]["accuracy"].std(), 2)
        np.float64(0.04)
        """
        wanted = {name: get_metric(name) for name in metrics}
        columns = {
            (model, name): metric.rows(of)
            for model, of in self.answers.items()
            for name, metric in wanted.items()
            if metric.rows is not None and of.has(metric.needs)
        }
        found: dict[str, dict[str, np.ndarray]] = {model: {} for model in self.answers}
        if columns:
            means = redrawn_means(
                np.concatenate([*columns.values()], axis=1), n_draws, random_state
            )
            ends = np.cumsum([values.shape[1] for values in columns.values()])[:-1]
            for (model, name), part in zip(columns, np.split(means, ends, axis=1), strict=True):
                found[model][name] = wanted[name].combine(part)
        rng = np.random.default_rng(random_state)
        for row in self.rows:
            if row["metric"] in wanted and row["interval"] == "quartiles":
                deviation = (row["high"] - row["low"]) / _QUARTILES
                drawn = rng.normal(row["value"], deviation, size=n_draws)
                found[row["model"]][row["metric"]] = np.maximum(drawn, 1e-3 * row["value"])
        return found

    def students(self) -> list[str]:
        """Return the names of all models except the teacher."""
        return [name for name in self.answers if name != _TEACHER]

    def confusion(self, model: str) -> np.ndarray:
        """Return the confusion matrix of a model.

        Parameters
        ----------
        model : str

        Returns
        -------
        ndarray of int, shape (n_classes, n_classes)
            Counts; true classes in rows, predicted ones in columns, both in the order of
            ``answers[model].classes``.
        """
        of = self._classified(model, "labels")
        return confusion_matrix(of.truth, of.predicted, labels=np.arange(len(of.classes)))

    def disagreements(self, model: str) -> Disagreements:
        """Return the rows on which student and teacher predict different classes.

        Parameters
        ----------
        model : str

        Returns
        -------
        Disagreements
            Largest divergence first.
        """
        of = self._classified(model, "teacher", "probabilities")
        return disagreements(of.proba, of.taught_proba, of.classes)

    def mcnemar(self) -> dict[tuple[str, str], McNemarResult]:
        """Run McNemar's test on each pair of students.

        Correct for multiple tests: with m pairs, compare p-values with 0.05 / m.

        Returns
        -------
        dict of (str, str) to McNemarResult
        """
        each = {name: self._classified(name, "labels") for name in self.students()}
        return {
            (one, two): mcnemar(each[one].predicted, each[two].predicted, each[one].truth)
            for one, two in combinations(each, 2)
        }

    def _classified(self, model: str, *needs: str) -> Predictions:
        of = choose(self.answers, model, "model")
        if of.classes is None or not of.has(needs):
            raise ValueError(
                f"This needs classes{''.join(f' and {need}' for need in needs)}, not all of which "
                f"{model!r} has."
            )
        return of


def evaluate(
    students: Mapping[str, BaseEstimator] | BaseEstimator,
    X: Any,
    y: ArrayLike | None,
    teacher: Any = None,
    *,
    metrics: Iterable[str] | None = None,
    bootstrap: int = 1000,
    confidence: float = 0.95,
    random_state: int | None = 0,
) -> Evaluation:
    """Measure students and their teacher on the same rows.

    Parameters
    ----------
    students : dict of str to estimator, or estimator
        Fitted classifiers, or regressors, by their name in the table; a single one is named
        ``"student"``.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows not used in any training. Each model gets the columns of a DataFrame that it was
        trained on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
        True labels or values; None: no metrics that need them.
    teacher : object, default=None
        Anything that `soft_students.as_teacher` takes. It is measured as ``"teacher"``. An array of
        its outputs has no costs; costs of a function are measured only if `metrics` names them.
    metrics : iterable of str, default=None
        Names from `METRICS`. None: all whose inputs are available.
    bootstrap : int, default=1000
        Number of resamples for the intervals; 0: no intervals. All metrics of all models use the
        same resamples.
    confidence : float, default=0.95
        Confidence level of the intervals.
    random_state : int or None, default=0
        Seed of the resamples.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If a metric is unknown or lacks an input, X is empty, classifiers and regressors are mixed,
        no label is among the classes, or a model returns NaN.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students import DecisionTreeStudentClassifier
    >>> from soft_students.evaluation import evaluate
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X[::2], y[::2])
    >>> students = {
    ...     depth: DecisionTreeStudentClassifier(max_depth=depth).fit(X[::2], teacher)
    ...     for depth in (1, 2)
    ... }
    >>> result = evaluate(students, X[1::2], y[1::2], teacher, metrics=["accuracy", "parameters"])
    >>> for model, values in result.wide().items():
    ...     print(model, round(values["accuracy"], 2), values["parameters"])
    teacher 0.96 15
    1 0.67 8
    2 0.93 18
    >>> result.rows[0]["interval"], result.rows[0]["low"] < 0.96 < result.rows[0]["high"]
    ('bootstrap', True)
    """
    models = dict(students) if isinstance(students, Mapping) else {"student": students}
    if _TEACHER in models:
        raise ValueError("No student may be called 'teacher', the teacher's name. Rename it.")
    if bootstrap < 0:
        raise ValueError(f"The number of resamples must not be negative. Got {bootstrap}.")
    asked: Teacher | None = None
    if teacher is not None:
        task = "classification" if _predict_classes(models) else "regression"
        asked = teacher if isinstance(teacher, Teacher) else as_teacher(teacher, task=task)
    chosen = None if metrics is None else [get_metric(name) for name in metrics]
    answers = gather_predictions(models, X, y, asked)
    measured = _applicable(answers) if chosen is None else _checked(chosen, answers)
    of_rows = {
        (name, metric.name): (metric, metric.rows(of))
        for name, of in answers.items()
        for metric in measured
        if metric.rows is not None and of.has(metric.needs)
    }
    n_samples = len(next(iter(answers.values())).predicted)
    intervals: dict[tuple[str, str], Interval] = {}
    if bootstrap and n_samples > 1 and of_rows:
        intervals = _intervals(of_rows, bootstrap, confidence, random_state)
    rows = []
    for name in answers:
        model: Any = asked if name == _TEACHER else models[name]
        for metric in measured:
            key = (name, metric.name)
            found = _UNKNOWN
            if key in of_rows:
                found = _found(*of_rows[key], intervals.get(key))
            elif metric.measure is not None and _may_measure(model, is_wanted=chosen is not None):
                found = _measured(metric.measure(model, rows_of(model, X)))
            about = {"unit": metric.unit, "direction": metric.direction}
            rows.append({"model": name, "metric": metric.name, **found, **about})
    return Evaluation(rows, answers, confidence, n_samples, n_threads())


def _may_measure(model: Any, *, is_wanted: bool) -> bool:
    """Return whether to measure a model's costs; those of a paid teacher only if `is_wanted`."""
    if isinstance(model, ArrayTeacher):
        return False
    return is_wanted or not (isinstance(model, Teacher) and model.may_cost)


_UNKNOWN: dict[str, Any] = {"value": None, "low": None, "high": None, "interval": None}


def _applicable(answers: Mapping[str, Predictions]) -> list[Metric]:
    """Return all metrics whose inputs at least one model has."""
    return [
        metric
        for metric in METRICS.values()
        if any(_lacks(metric, of) is None for of in answers.values())
    ]


def _checked(chosen: list[Metric], answers: Mapping[str, Predictions]) -> list[Metric]:
    for metric in chosen:
        lacking = [_lacks(metric, of) for of in answers.values()]
        if all(lacking):
            raise ValueError(f"The metric {metric.name!r} needs {lacking[-1]}.")
    return chosen


def _lacks(metric: Metric, of: Predictions) -> str | None:
    """Return a description of the input that a metric lacks for a model, or None."""
    task = "regression" if of.classes is None else "classification"
    if metric.task not in (None, task):
        return f"models of {metric.task}, and these are of {task}"
    if "labels" in metric.needs and of.truth is None:
        return "the true labels y"
    if "teacher" in metric.needs and of.taught is None:
        return "a teacher"
    if "probabilities" in metric.needs and of.proba is None:
        return "a model with predict_proba"
    return None


def _intervals(
    of_rows: Mapping[tuple[str, str], tuple[Metric, np.ndarray]],
    n_resamples: int,
    confidence: float,
    random_state: int | None,
) -> dict[tuple[str, str], Interval]:
    ends = np.cumsum([values.shape[1] for _, values in of_rows.values()])[:-1]

    def combine(means: np.ndarray) -> list[np.ndarray]:
        parts = np.split(means, ends, axis=1)
        pairs = zip(of_rows.values(), parts, strict=True)
        return [metric.combine(part) for (metric, _), part in pairs]

    intervals = resampled_means(
        np.concatenate([values for _, values in of_rows.values()], axis=1),
        combine,
        n_resamples=n_resamples,
        confidence=confidence,
        random_state=random_state,
    )
    return dict(zip(of_rows, intervals, strict=True))


def _found(metric: Metric, values: np.ndarray, interval: Interval | None) -> dict[str, Any]:
    value = float(metric.combine(values.mean(axis=0)))
    if interval is None:
        return _UNKNOWN | {"value": value}
    bounds = {"low": interval.low, "high": interval.high, "interval": "bootstrap"}
    return {"value": value, **bounds}


def _measured(measured: float | Timing | None) -> dict[str, Any]:
    if not isinstance(measured, Timing):
        return _UNKNOWN | {"value": measured}
    bounds = {"low": measured.low, "high": measured.high, "interval": "quartiles"}
    return {"value": measured.median, **bounds}


def _predict_classes(models: Mapping[str, BaseEstimator]) -> bool:
    return bool(models) and is_classifier(next(iter(models.values())))
