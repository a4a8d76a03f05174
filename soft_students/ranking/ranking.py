"""Students in order, by several criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
)
from soft_students.ranking.scores import (
    NORMALIZATIONS,
    normalized,
    topsis_scores,
    weighted_sums,
)
from soft_students.ranking.sensitivity import Sensitivity, sensitivity

_HARDLY = 0.2  # of what the most influential criterion moves

#: By name: how scores are computed, of values that are normalised how unless told.
METHODS = {
    "index": (weighted_sums, "minmax"),
    "topsis": (topsis_scores, "vector"),
    "ahp": (weighted_sums, "sum"),
}


@dataclass(frozen=True)
class Ranking:
    """Who comes first, by how much, and whether that would last.

    Parameters
    ----------
    order : list of str
        The best first.
    scores : dict of str to float
        In that order; higher is better. They compare students of one ranking only.
    method : str
    normalization : str
    weights : dict of str to float
        By criterion; they sum to one.
    directions : dict of str to str
        By criterion, ``"higher"`` or ``"lower"`` is better.
    normalized : dict of str to dict of str to float
        The comparable values that scores are made of, by student and criterion; higher is better.
    pareto : list of str
        Those than whom no other is better in one criterion and as good in all others, whatever the
        weights. Criteria of weight zero do not count.
    constraints : dict of str to float
        The least of a criterion of which higher is better, the most of another.
    excluded : dict of str to list of str
        Who was not ranked, and why.
    sensitivity : Sensitivity
    notes : list of str
        What one should know of this ranking: sentences.
    """

    order: list[str]
    scores: dict[str, float]
    method: str
    normalization: str
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
    directions: Mapping[str, str] | None = None,
    constraints: Mapping[str, float] | None = None,
    random_state: int | None = 0,
) -> Ranking:
    """Rank alternatives by several criteria.

    Parameters
    ----------
    values : dict of str to dict of str to float
        Of each student, by criterion, as `Evaluation.wide` returns them. One of whom a criterion is
        unknown (None, NaN or infinite) is excluded.
    criteria : dict of str to float, or iterable of str
        Weights. They need not sum to one: what matters is their proportion. Names alone weigh the
        same.
    method : {"topsis", "index", "ahp"}, default="topsis"
        What scores are: the relative closeness to an ideal that is best in everything (TOPSIS), or
        a weighted sum of normalised values (a composite index), which is also what the analytic
        hierarchy process makes of measured values (with weights of `ahp_weights`, and shares of a
        sum as values).
    normalization : {"minmax", "vector", "ratio", "sum"}, default=None
        See `NORMALIZATIONS`. None is each method's own: vector for topsis, minmax for index, sum
        for ahp. By ``"minmax"`` a weight is that of the way from the worst of these students to the
        best. The others keep the ratio of values: accuracies of 0.95 and 0.97 are then nearly the
        same, which a note says.
    directions : dict of str to {"higher", "lower"}, default=None
        Which is better; of metrics it is known.
    constraints : dict of str to float, default=None
        The least of a criterion of which higher is better, the most of another. Who does not meet
        them is excluded before anything is normalised.
    random_state : int or None, default=0
        Of the random weights of the sensitivity.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If a criterion or method is unknown, weights or values are unfit, or everybody is excluded;
        the message then says who by what.
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
    choose(NORMALIZATIONS, normalization, "normalization")
    weights, note = check_weights(criteria)
    notes = [] if note is None else [note]
    limits = dict(constraints or {})
    better = check_directions([*weights, *limits], directions)
    for criterion, limit in limits.items():
        if not np.isfinite(limit):
            raise ValueError(f"The limit of {criterion!r} must be a finite number. Got {limit}.")
    if not values:
        raise ValueError("There is nobody to rank.")
    excluded = exclusions(values, weights, limits, better)
    names = [name for name in values if name not in excluded]
    if not names:
        each = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in excluded.items())
        raise ValueError(f"All {len(values)} students are excluded. {each}.")
    matrix = np.array([[values[name][c] for c in weights] for name in names], dtype=np.float64)
    higher = np.array([better[criterion] == "higher" for criterion in weights])
    comparable = normalized(matrix, higher, normalization, list(weights))
    given = np.array(list(weights.values()))
    scores = scores_of(comparable, given)
    order = np.argsort(-scores, kind="stable").tolist()
    notes += _notes(matrix, comparable, weights, normalization)
    return Ranking(
        [names[i] for i in order],
        {names[i]: float(scores[i]) for i in order},
        method,
        normalization,
        weights,
        {criterion: better[criterion] for criterion in weights},
        {
            name: dict(zip(weights, row.tolist(), strict=True))
            for name, row in zip(names, comparable, strict=True)
        },
        [names[i] for i in np.flatnonzero(pareto_front(matrix[:, given > 0], higher[given > 0]))],
        limits,
        excluded,
        sensitivity(lambda moved: scores_of(comparable, moved), weights, names, random_state),
        notes,
    )


def pareto_front(matrix: ArrayLike, higher: ArrayLike) -> np.ndarray:
    """Tell which alternatives no other dominates.

    Parameters
    ----------
    matrix : array-like of shape (n_alternatives, n_criteria)
    higher : array-like of bool, shape (n_criteria,)
        Whether higher is better.

    Returns
    -------
    ndarray of bool, shape (n_alternatives,)
        False where another is as good in every criterion and better in one. Of equals, all stay.

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


def _notes(
    matrix: np.ndarray, comparable: np.ndarray, weights: Mapping[str, float], normalization: str
) -> list[str]:
    notes = []
    equal = np.ptp(matrix, axis=0) == 0
    if len(matrix) > 1 and equal.any():
        alike = ", ".join(c for c, same in zip(weights, equal, strict=True) if same)
        notes.append(f"All students have the same {alike}, which therefore decides nothing.")
    moves = np.ptp(comparable, axis=0) * np.array(list(weights.values()))
    for criterion, move, same in zip(weights, moves, equal, strict=True):
        if not same and weights[criterion] and move < _HARDLY * moves.max():
            notes.append(
                f"By the normalization {normalization!r} the students' {criterion} differs so "
                f"little that its weight of {weights[criterion]:.2g} hardly counts: it moves a "
                f"score {moves.max() / move:.0f} times less than the strongest criterion. Set a "
                "limit to it, or choose the normalization 'minmax'."
            )
    return notes
