"""The registry of metrics, read by tables, intervals and rankings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from soft_students.choices import choose
from soft_students.evaluation.answers import Predictions
from soft_students.evaluation.calibration import N_BINS, bin_edges, bin_numbers
from soft_students.evaluation.complexity import flops, n_parameters
from soft_students.evaluation.cost import (
    Timing,
    bundle_bytes,
    latency,
    parameter_bytes,
    throughput,
)
from soft_students.evaluation.fidelity import divergences, soft_cross_entropies, top_k_alike
from soft_students.evaluation.task import brier_scores, log_losses
from soft_students.teachers import Teacher

RowValues = Callable[[Predictions], np.ndarray]
Combine = Callable[[np.ndarray], np.ndarray]


def _first(means: np.ndarray) -> np.ndarray:
    return means[..., 0]


@dataclass(frozen=True)
class Metric:
    """One metric: its names, its direction, and how it is computed.

    A metric of rows is a function (`combine`) of means over rows (of `rows`), so that its bootstrap
    is a matrix product.

    Parameters
    ----------
    name : str
        Key in tables and JSON.
    title : str
        Column heading.
    direction : {"higher", "lower"}
        Which values are better.
    format : str
        Format string of a value, e.g. ``"{:.2%}"``.
    group : {"quality", "fidelity", "calibration", "cost"}
    unit : str, default=""
    needs : tuple of str, default=()
        Inputs required: ``"labels"``, ``"teacher"``, ``"probabilities"``.
    task : {"classification", "regression"} or None, default=None
        None: both.
    rows : callable or None, default=None
        Maps `Predictions` to values of shape (n_samples, k).
    combine : callable
        Maps the means of these values over rows to the metric, along the last axis.
    measure : callable or None, default=None
        For costs, instead: maps a model and rows to a number, a `Timing`, or None if unknown.
    """

    name: str
    title: str
    direction: Literal["higher", "lower"]
    format: str
    group: Literal["quality", "fidelity", "calibration", "cost"]
    unit: str = ""
    needs: tuple[str, ...] = ()
    task: Literal["classification", "regression"] | None = None
    rows: RowValues | None = None
    combine: Combine = _first
    measure: Callable[[Any, Any], float | Timing | None] | None = None

    def show(self, value: float | None) -> str:
        """Return a value as text; an empty string for None."""
        return "" if value is None else self.format.format(value)


def get_metric(name: str) -> Metric:
    """Return one metric by name.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the available ones.

    Examples
    --------
    >>> from soft_students.evaluation import get_metric
    >>> get_metric("latency_us").direction
    'lower'
    """
    return choose(METRICS, name, "metric")


# -- metrics of classification, by row -------------------------------------------------------------


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)[:, None]


def _right(of: Predictions) -> np.ndarray:
    return _column(of.predicted == of.truth)


def _alike(of: Predictions) -> np.ndarray:
    return _column(of.predicted == of.taught)


def _log_losses(of: Predictions) -> np.ndarray:
    return _column(log_losses(of.proba, of.truth))


def _brier_scores(of: Predictions) -> np.ndarray:
    return _column(brier_scores(of.proba, of.truth))


def _top_2_alike(of: Predictions) -> np.ndarray:
    return _column(top_k_alike(of.proba, of.taught_proba, 2))


def _divergences(of: Predictions) -> np.ndarray:
    return _column(divergences(of.proba, of.taught_proba))


def _soft_cross_entropies(of: Predictions) -> np.ndarray:
    return _column(soft_cross_entropies(of.proba, of.taught_proba))


def _not_negative(means: np.ndarray) -> np.ndarray:
    return np.maximum(means[..., 0], 0)


def _hits(of: Predictions) -> np.ndarray:
    """Return three indicators a row and class: predicted and true, predicted, true."""
    each = np.arange(len(of.classes))
    predicted, true = of.predicted[:, None] == each, of.truth[:, None] == each
    return np.concatenate([predicted & true, predicted, true], axis=1).astype(np.float64)


def _macro_f1(means: np.ndarray) -> np.ndarray:
    both, predicted, true = np.split(means, 3, axis=-1)
    seen = predicted + true
    defined = seen > 0  # a class that is neither predicted nor true has no F1
    scores = 2 * both / np.where(defined, seen, 1)
    return scores.sum(axis=-1) / defined.sum(axis=-1)


def _gaps(strategy: str) -> RowValues:
    """Return a function that puts each row's accuracy minus confidence in its bin's column."""

    def gaps(of: Predictions) -> np.ndarray:
        confidence = of.proba.max(axis=1)
        edges = bin_edges(confidence, N_BINS, strategy)
        placed = np.zeros((len(confidence), len(edges) - 1))
        right = of.proba.argmax(axis=1) == of.truth
        placed[np.arange(len(placed)), bin_numbers(confidence, edges)] = right - confidence
        return placed

    return gaps


def _absolute_sum(means: np.ndarray) -> np.ndarray:
    return np.abs(means).sum(axis=-1)


# -- metrics of regression, by row -----------------------------------------------------------------


def _true(of: Predictions) -> np.ndarray:
    return of.truth


def _taught(of: Predictions) -> np.ndarray:
    return of.taught


def _errors(target: RowValues, power: int) -> RowValues:
    def errors(of: Predictions) -> np.ndarray:
        each = np.abs(target(of) - of.predicted).astype(np.float64) ** power
        return each.reshape(len(each), -1).mean(axis=1, keepdims=True)

    return errors


def _moments(target: RowValues) -> RowValues:
    def moments(of: Predictions) -> np.ndarray:
        true, predicted = (
            np.asarray(values, dtype=np.float64).reshape(len(of.predicted), -1)
            for values in (target(of), of.predicted)
        )
        centred = true - true.mean(axis=0)  # squares of large values would lose their variance
        return np.concatenate([centred, centred**2, (true - predicted) ** 2], axis=1)

    return moments


def _r2(means: np.ndarray) -> np.ndarray:
    mean, square, error = np.split(means, 3, axis=-1)
    variance = square - mean**2
    constant = variance <= 1e-14 * square
    explained = 1 - error / np.where(constant, 1, variance)
    # As in scikit-learn: for constant values one if they are predicted exactly, else zero.
    return np.where(constant, np.where(error == 0, 1.0, 0.0), explained).mean(axis=-1)


# -- costs -----------------------------------------------------------------------------------------


def _bytes(model: Any, X: Any) -> int | None:
    if isinstance(model, Teacher):
        return parameter_bytes(model)
    try:
        return bundle_bytes(model)
    except TypeError:
        return None  # not a registered student, or a parameter that bundles refuse


def _parameters(model: Any, X: Any) -> int | None:
    return n_parameters(model)


# --------------------------------------------------------------------------------------------------

_QUALITY = [
    Metric(
        "accuracy", "accuracy", "higher", "{:.2%}", "quality",
        needs=("labels",), task="classification", rows=_right,
    ),
    Metric(
        "macro_f1", "macro F1", "higher", "{:.4f}", "quality",
        needs=("labels",), task="classification", rows=_hits, combine=_macro_f1,
    ),
    Metric(
        "log_loss", "log-loss", "lower", "{:.4f}", "quality", "nats",
        needs=("labels", "probabilities"), task="classification", rows=_log_losses,
    ),
    Metric(
        "brier_score", "Brier score", "lower", "{:.4f}", "quality",
        needs=("labels", "probabilities"), task="classification", rows=_brier_scores,
    ),
    Metric(
        "r2", "R²", "higher", "{:.4f}", "quality",
        needs=("labels",), task="regression", rows=_moments(_true), combine=_r2,
    ),
    Metric(
        "mse", "MSE", "lower", "{:.4g}", "quality",
        needs=("labels",), task="regression", rows=_errors(_true, 2),
    ),
    Metric(
        "mae", "MAE", "lower", "{:.4g}", "quality",
        needs=("labels",), task="regression", rows=_errors(_true, 1),
    ),
]  # fmt: skip

_FIDELITY = [
    Metric(
        "agreement", "agreement", "higher", "{:.2%}", "fidelity",
        needs=("teacher",), task="classification", rows=_alike,
    ),
    Metric(
        "top_2_agreement", "top-2 agreement", "higher", "{:.2%}", "fidelity",
        needs=("teacher", "probabilities"), task="classification", rows=_top_2_alike,
    ),
    Metric(
        "kl_to_teacher", "KL to teacher", "lower", "{:.4f}", "fidelity", "nats",
        needs=("teacher", "probabilities"), task="classification",
        rows=_divergences, combine=_not_negative,
    ),
    Metric(
        "soft_cross_entropy", "soft cross-entropy", "lower", "{:.4f}", "fidelity", "nats",
        needs=("teacher", "probabilities"), task="classification", rows=_soft_cross_entropies,
    ),
    Metric(
        "r2_to_teacher", "R² to teacher", "higher", "{:.4f}", "fidelity",
        needs=("teacher",), task="regression", rows=_moments(_taught), combine=_r2,
    ),
    Metric(
        "mse_to_teacher", "MSE to teacher", "lower", "{:.4g}", "fidelity",
        needs=("teacher",), task="regression", rows=_errors(_taught, 2),
    ),
    Metric(
        "mae_to_teacher", "MAE to teacher", "lower", "{:.4g}", "fidelity",
        needs=("teacher",), task="regression", rows=_errors(_taught, 1),
    ),
]  # fmt: skip

_CALIBRATION = [
    Metric(
        "ece", "ECE", "lower", "{:.4f}", "calibration",
        needs=("labels", "probabilities"), task="classification",
        rows=_gaps("uniform"), combine=_absolute_sum,
    ),
    Metric(
        "adaptive_ece", "adaptive ECE", "lower", "{:.4f}", "calibration",
        needs=("labels", "probabilities"), task="classification",
        rows=_gaps("quantile"), combine=_absolute_sum,
    ),
]  # fmt: skip

_COST = [
    Metric("bytes", "bytes", "lower", "{:,.0f}", "cost", "bytes", measure=_bytes),
    Metric("parameters", "parameters", "lower", "{:,.0f}", "cost", measure=_parameters),
    Metric("flops", "FLOPs/row", "lower", "{:,.0f}", "cost", "operations/row", measure=flops),
    Metric("latency_us", "µs/row", "lower", "{:,.0f}", "cost", "µs", measure=latency),
    Metric("throughput", "rows/s", "higher", "{:,.0f}", "cost", "rows/s", measure=throughput),
]

#: All metrics by name, in the order of table columns.
METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*_QUALITY, *_FIDELITY, *_CALIBRATION, *_COST)
}
