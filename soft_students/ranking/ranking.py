"""Ranking of students by several criteria."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from soft_students.choices import choose
from soft_students.ranking.criteria import (
    Values,
    check_directions,
    check_weights,
    exclusions,
    misses,
)
from soft_students.ranking.redrawing import Errors, Redrawn, dominated_shares, redraw
from soft_students.ranking.scores import (
    NORMALIZATIONS,
    OF_POSITIVE_VALUES,
    means,
    normalized,
    topsis_scores,
    weighted_sums,
)
from soft_students.ranking.sensitivity import Sensitivity, sensitivity

_HARDLY = 0.2  # of what the most influential criterion moves
_CLAIMED = 0.95  # share of repeated measurements beyond which a difference is stated
_LEAST = 1e-3  # of a measured value: redrawn ones stay above, where they must be positive
_EQUAL = 1e-9  # scores that differ by less are ties

#: By name: the scores, and the normalisation by default.
METHODS = {
    "index": (weighted_sums, "minmax"),
    "topsis": (topsis_scores, "vector"),
    "ahp": (weighted_sums, "sum"),
    "aggregate_index": (weighted_sums, "reference"),
    "mean_index": (means, "reference"),
}
_OF_REFERENCES = ("aggregate_index", "mean_index")


class NoneLeftError(ValueError):
    """All students are excluded.

    Parameters
    ----------
    excluded : dict of str to list of str
        Reasons, by student.
    misses : dict of str to dict of str to float
        By how much each student misses each limit that it misses.
    """

    def __init__(self, excluded: dict[str, list[str]], misses: dict[str, dict[str, float]]) -> None:
        each = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in excluded.items())
        super().__init__(f"All {len(excluded)} students are excluded. {each}.")
        self.excluded, self.misses = excluded, misses


@dataclass(frozen=True)
class Ranking:
    """Order and scores of students, and their sensitivity to the weights.

    Parameters
    ----------
    order : list of str
        Students, best first.
    scores : dict of str to float
        Score by student, in that order; higher is better. Comparable within one ranking only.
    method : str
    normalization : str
    reference : dict of str to float, or None
        By criterion, as given.
    weights : dict of str to float
        Weight by criterion; they sum to one.
    directions : dict of str to str
        Better direction by criterion: ``"higher"`` or ``"lower"``.
    normalized : dict of str to dict of str to float
        Normalised values behind the scores, by student and criterion; higher is better.
    pareto : list of str
        The Pareto-optimal students: no other one is better in one criterion and as good in all
        others. Where errors are known, a student is left out only if the same other one dominates
        it in 95 % of repeated measurements. Criteria of weight zero do not count.
    constraints : dict of str to float
        Limit by criterion: a minimum where "higher" is better, a maximum where "lower" is.
    excluded : dict of str to list of str
        Reasons by student that was not ranked.
    sensitivity : Sensitivity
    notes : list of str
        Remarks and warnings, one sentence each.
    """

    order: list[str]
    scores: dict[str, float]
    method: str
    normalization: str
    reference: dict[str, float] | None
    weights: dict[str, float]
    directions: dict[str, str]
    normalized: dict[str, dict[str, float]]
    pareto: list[str]
    constraints: dict[str, float]
    excluded: dict[str, list[str]]
    sensitivity: Sensitivity
    notes: list[str]

    @property
    def winner(self) -> str:
        """The first of `order`."""
        return self.order[0]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values, with the key ``winner`` too."""
        return {"winner": self.winner, **asdict(self)}


def rank(
    values: Mapping[str, Values],
    criteria: Mapping[str, float] | Iterable[str],
    *,
    method: str = "topsis",
    normalization: str | None = None,
    reference: Mapping[str, float] | None = None,
    directions: Mapping[str, str] | None = None,
    constraints: Mapping[str, float] | None = None,
    standard_errors: Errors | None = None,
    redrawn: Redrawn | None = None,
    random_state: int | None = 0,
) -> Ranking:
    """Rank alternatives by several criteria.

    Parameters
    ----------
    values : dict of str to dict of str to float
        Values by student, then by criterion, as from `Evaluation.wide`. A student with an unknown
        criterion (None, NaN or infinite) is excluded.
    criteria : dict of str to float, or iterable of str
        Weights. They need not sum to one: what matters is their proportion. Names alone weigh the
        same.
    method : {"topsis", "index", "ahp", "aggregate_index", "mean_index"}, default="topsis"
        Scores: the relative closeness to an ideal that is best in everything (TOPSIS); or a
        weighted sum of normalised values (a composite index), also that of the analytic hierarchy
        process with weights of `ahp_weights`; or, of the ratios of values to those of a reference,
        the weighted sum in one aggregate, or the mean of each criterion's ratio. Above 1 the last
        two are better than the reference.
    normalization : {"minmax", "vector", "ratio", "sum", "reference"}, default=None
        See `NORMALIZATIONS`. None is each method's own: vector for topsis, minmax for index, sum
        for ahp. By ``"minmax"`` a weight is that of the way from the worst of these students to the
        best. The others keep the ratio of values: accuracies of 0.95 and 0.97 are then nearly the
        same, which a note says.
    reference : dict of str to float, default=None
        Values above 0 by criterion, such as those of the teacher. None: the means of the students.
    directions : dict of str to {"higher", "lower"}, default=None
        Better direction of criteria that are not metrics.
    constraints : dict of str to float, default=None
        The least of a criterion of which higher is better, the most of another. Students that miss
        one, as measured, are excluded before anything is normalised.
    standard_errors : dict of str to dict of str to float, default=None
        Standard errors of values, by student and criterion; missing ones are exact.
    redrawn : dict of str to dict of str to array-like, default=None
        Instead, values as repeated measurements gave them, such as `Evaluation.redrawn` returns:
        one array per student and criterion, all of one length, the values of one place belonging
        together.
    random_state : int or None, default=0
        Seed of the sensitivity.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If a criterion or method is unknown, weights or values are invalid, or all students are
        excluded; the message then gives the reasons.
    ImportError
        If pymcdm is not installed.

    References
    ----------
    Hwang and Yoon (1981), "Multiple attribute decision making", chapters 3.2 (simple additive
    weighting) and 3.6 (TOPSIS). Saaty (1980), "The analytic hierarchy process".

    Examples
    --------
    >>> from soft_students.ranking import rank
    >>> values = {
    ...     "tree": {"accuracy": 0.86, "latency_us": 90, "bytes": 20_000},
    ...     "soft_tree": {"accuracy": 0.95, "latency_us": 110, "bytes": 70_000},
    ...     "forest": {"accuracy": 0.96, "latency_us": 9_000, "bytes": 4_000_000},
    ... }
    >>> weights = {"accuracy": 0.4, "latency_us": 0.3, "bytes": 0.3}
    >>> rank(values, weights, method="index").order
    ['soft_tree', 'tree', 'forest']
    >>> rank(values, weights, constraints={"bytes": 1e6}).excluded
    {'forest': ['bytes 4,000,000 is above 1,000,000']}
    """
    scores_of, own = choose(METHODS, method, "method")
    normalization = own if normalization is None else normalization
    _check_normalization(method, normalization)
    weights, note = check_weights(criteria)
    notes = [] if note is None else [note]
    limits = dict(constraints or {})
    better = check_directions([*weights, *limits], directions)
    for criterion, limit in limits.items():
        if not np.isfinite(limit):
            raise ValueError(f"The limit of {criterion!r} must be a finite number. Got {limit}.")
    if not values:
        raise ValueError("No students to rank. Pass the values of at least one.")
    excluded = exclusions(values, weights, limits, better)
    names = [name for name in values if name not in excluded]
    if not names:
        raise NoneLeftError(excluded, misses(values, limits, better))
    matrix = np.array([[values[name][c] for c in weights] for name in names], dtype=np.float64)
    higher = np.array([better[criterion] == "higher" for criterion in weights])
    against = _reference(reference, normalization, weights)

    def comparable_of(matrix: np.ndarray) -> np.ndarray:
        return normalized(matrix, higher, normalization, list(weights), against)

    comparable = comparable_of(matrix)
    given = np.array(list(weights.values()))
    scores = scores_of(comparable, given)
    order = np.argsort(-scores, kind="stable").tolist()
    again = redraw(matrix, names, list(weights), standard_errors, redrawn, random_state)
    if again is not None and normalization in OF_POSITIVE_VALUES:
        again = np.maximum(again, _LEAST * matrix)
    found = sensitivity(
        scores_of,
        comparable,
        None if again is None else np.stack([comparable_of(table) for table in again]),
        weights,
        names,
        random_state,
    )
    if method == "mean_index":
        notes.append("By mean_index all criteria with a weight above 0 count the same.")
    notes += _notes(matrix, comparable, weights, normalization)
    ranked = [names[i] for i in order]
    notes += _ties(ranked, scores[order])
    notes += _reversals(lambda rows: scores_of(comparable_of(matrix[rows]), given), names, order[0])
    notes += _exactness(ranked, found)
    front = _front((matrix[None] if again is None else again)[..., given > 0], higher[given > 0])
    return Ranking(
        ranked,
        {names[i]: float(scores[i]) for i in order},
        method,
        normalization,
        None if against is None else dict(zip(weights, against.tolist(), strict=True)),
        weights,
        {criterion: better[criterion] for criterion in weights},
        {
            name: dict(zip(weights, row.tolist(), strict=True))
            for name, row in zip(names, comparable, strict=True)
        },
        [names[i] for i in np.flatnonzero(front)],
        limits,
        excluded,
        found,
        notes,
    )


def _check_normalization(method: str, normalization: str) -> None:
    """Refuse an unknown normalization, or one that does not belong to the method."""
    choose(NORMALIZATIONS, normalization, "normalization")
    if method in _OF_REFERENCES and normalization != "reference":
        raise ValueError(
            f"The method {method!r} is one of ratios to a reference: its normalization is "
            f"'reference'. Got {normalization!r}."
        )


def _reference(
    reference: Mapping[str, float] | None, normalization: str, weights: Mapping[str, float]
) -> np.ndarray | None:
    """Return the reference of each criterion, or None for the means of the students."""
    if reference is None:
        return None
    if normalization != "reference":
        raise ValueError(
            f"A reference is read by the normalization 'reference' alone. Got {normalization!r}: "
            "choose the method 'aggregate_index' or 'mean_index', or leave the reference out."
        )
    for criterion in weights:
        value = reference.get(criterion)
        if value is None or not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"The reference of {criterion!r} must be a finite number above 0. Got {value}."
            )
    return np.array([reference[criterion] for criterion in weights], dtype=np.float64)


def pareto_front(matrix: ArrayLike, higher: ArrayLike) -> np.ndarray:
    """Return a mask of the Pareto-optimal alternatives.

    Parameters
    ----------
    matrix : array-like of shape (n_alternatives, n_criteria)
    higher : array-like of bool, shape (n_criteria,)
        Whether higher is better.

    Returns
    -------
    ndarray of bool, shape (n_alternatives,)
        False where another is as good in every criterion and better in one. Ties are all True.

    Examples
    --------
    >>> from soft_students.ranking import pareto_front
    >>> pareto_front([[0.9, 10], [0.8, 5], [0.8, 20]], [True, False])
    array([ True,  True, False])
    """
    good = np.asarray(matrix, dtype=np.float64) * np.where(higher, 1.0, -1.0)
    as_good = (good[:, None] >= good).all(axis=2)  # [i, j]: i is as good as j in everything
    better = (good[:, None] > good).any(axis=2)
    return np.logical_not((as_good & better).any(axis=0))


def _front(matrices: np.ndarray, higher: np.ndarray) -> np.ndarray:
    """Return which alternatives no other one dominates in nearly all repeated measurements."""
    shares = dominated_shares(matrices, higher)
    return np.logical_not((shares >= _CLAIMED).any(axis=0))


def _ties(ranked: list[str], scores: np.ndarray) -> list[str]:
    alike = [name for name, score in zip(ranked, scores, strict=True) if scores[0] - score < _EQUAL]
    if len(alike) == 1:
        return []
    return [f"{', '.join(alike)} have the same score: the first of them wins by its place alone."]


def _reversals(
    scores_of_rows: Callable[[list[int]], np.ndarray], names: list[str], winner: int
) -> list[str]:
    """Return a note for each other winner that the removal of one student makes."""
    removed: dict[str, list[str]] = {}
    for gone in range(len(names)):
        rest = [i for i in range(len(names)) if i != gone]
        if gone == winner or len(rest) < 2:
            continue
        scores = scores_of_rows(rest)
        best = [
            names[i] for i, score in zip(rest, scores, strict=True) if scores.max() - score < _EQUAL
        ]
        if names[winner] not in best:
            removed.setdefault(f"{best[0]} would win instead of", []).append(names[gone])
        elif len(best) > 1:
            others = ", ".join(name for name in best if name != names[winner])
            removed.setdefault(f"{others} would be as good as", []).append(names[gone])
    return [
        f"Without {' or '.join(gone)}, {change} {names[winner]}: the scores depend on which "
        "students are compared (rank reversal)."
        for change, gone in removed.items()
    ]


def _exactness(ranked: list[str], found: Sensitivity) -> list[str]:
    """Return what is known of the errors of the values."""
    if len(ranked) == 1:
        return []
    shares = found.measured_shares
    if shares is None:
        return [
            "The shares take the measured values as exact. Pass standard_errors or redrawn to "
            "count how often the winner would still win if they were measured again."
        ]
    if shares[ranked[0]] >= _CLAIMED:
        return []
    others = sorted((name for name in ranked[1:] if shares[name]), key=lambda name: -shares[name])
    return [
        f"Measured again, {ranked[0]} would win in {shares[ranked[0]]:.0%} of cases ("
        + ", ".join(f"{name} in {shares[name]:.0%}" for name in others)
        + "): the differences are within the errors of measurement."
    ]


def _notes(
    matrix: np.ndarray, comparable: np.ndarray, weights: Mapping[str, float], normalization: str
) -> list[str]:
    notes = []
    equal = np.ptp(matrix, axis=0) == 0
    if len(matrix) > 1 and equal.any():
        alike = ", ".join(c for c, same in zip(weights, equal, strict=True) if same)
        notes.append(f"All students have the same {alike}, which therefore decides nothing.")
    ranges = np.ptp(comparable, axis=0)
    moves = ranges * np.array(list(weights.values()))
    small = (moves < _HARDLY * moves.max()) & (ranges < _HARDLY * ranges.max())
    for criterion, move, hardly, same in zip(weights, moves, small, equal, strict=True):
        if hardly and not same and weights[criterion]:
            notes.append(
                f"Under the normalization {normalization!r} the students' {criterion} differs so "
                f"little that its weight of {weights[criterion]:.2g} hardly counts: it changes a "
                f"score {moves.max() / move:.0f} times less than the strongest criterion. Set a "
                "limit on it, or use the normalization 'minmax'."
            )
    return notes
