"""Sensitivity of the winner to the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle, repeat

import numpy as np

Scores = Callable[[np.ndarray], np.ndarray]
ScoresOf = Callable[[np.ndarray, np.ndarray], np.ndarray]

_STEPS = 200  # from a weight to 0 or 1; a change of winner within one step is missed
_BISECTIONS = 30
_CONCENTRATION = 20.0  # a weight of 0.4 then varies by 0.11
_DRAWS = 1000


@dataclass(frozen=True)
class WeightRange:
    """Range in which one weight can change before another student wins.

    The other weights keep their proportions.

    Parameters
    ----------
    weight : float
    low, high : float
        Bounds between which the winner stays the same.
    winner_below, winner_above : str or None
        Winner beyond each bound; None if it stays the same up to 0 or 1.
    """

    weight: float
    low: float
    high: float
    winner_below: str | None
    winner_above: str | None


@dataclass(frozen=True)
class Sensitivity:
    """Dependence of the winner on the weights.

    Parameters
    ----------
    ranges : dict of str to WeightRange
        Range by criterion.
    win_shares : dict of str to float
        Share of random weights around those given for which each student wins. Where errors of the
        values are known, each draw is combined with values measured again.
    measured_shares : dict of str to float, or None
        By the given weights, the share of repeated measurements after which each student wins. None
        if the errors of all values are unknown: the shares then take them as exact.
    draws : int
        Number of random weights: Dirichlet, with the given ones as their mean and a standard
        deviation of ``sqrt(w (1 - w) / (concentration + 1))``.
    concentration : float
    """

    ranges: dict[str, WeightRange]
    win_shares: dict[str, float]
    measured_shares: dict[str, float] | None
    draws: int
    concentration: float


def sensitivity(
    scores_of: ScoresOf,
    comparable: np.ndarray,
    redrawn: np.ndarray | None,
    weights: dict[str, float],
    names: list[str],
    random_state: int | None,
) -> Sensitivity:
    """Compute how the winner changes as single weights move, and under random weights.

    Parameters
    ----------
    scores_of : callable
        Maps normalised values and weights that sum to one to the scores of all students.
    comparable : ndarray of shape (n_students, n_criteria)
        Normalised values.
    redrawn : ndarray of shape (n_draws, n_students, n_criteria), or None
        Normalised values of repeated measurements.
    weights : dict of str to float
    names : list of str
        Names of the students, in the order of the scores.
    random_state : int or None
        Seed of the random weights.

    Returns
    -------
    Sensitivity
    """

    def scores(moved: np.ndarray) -> np.ndarray:
        return scores_of(comparable, moved)

    given = np.array(list(weights.values()))
    current = int(scores(given).argmax())
    ranges = {}
    for k, (criterion, weight) in enumerate(weights.items()):
        low, below = _first_change(scores, given, k, 0.0, current)
        high, above = _first_change(scores, given, k, 1.0, current)
        ranges[criterion] = WeightRange(
            weight,
            low,
            high,
            None if below is None else names[below],
            None if above is None else names[above],
        )
    rng = np.random.default_rng(random_state)
    drawn = np.zeros((_DRAWS, len(given)))
    drawn[:, given > 0] = rng.dirichlet(_CONCENTRATION * given[given > 0], size=_DRAWS)

    def shares(tables: Iterable[np.ndarray], weights: Iterable[np.ndarray]) -> dict[str, float]:
        winners = [
            _winner(scores_of(*both), current) for both in zip(tables, weights, strict=False)
        ]
        found = np.bincount(winners, minlength=len(names)) / len(winners)
        return dict(zip(names, found.tolist(), strict=True))

    measured = None if redrawn is None else shares(redrawn, repeat(given))
    tables = repeat(comparable) if redrawn is None else cycle(redrawn)
    return Sensitivity(ranges, shares(tables, drawn), measured, _DRAWS, _CONCENTRATION)


def _first_change(
    scores: Scores, given: np.ndarray, k: int, end: float, current: int
) -> tuple[float, int | None]:
    """Return the weight at which the winner changes and the new one, or `end` and None."""
    if len(given) == 1:
        return end, None  # a weight alone is always one
    inside = given[k]
    for outside in np.linspace(given[k], end, _STEPS + 1)[1:]:
        if _winner(scores(_moved(given, k, outside)), current) != current:
            break
        inside = outside
    else:
        return end, None
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        if _winner(scores(_moved(given, k, middle)), current) == current:
            inside = middle
        else:
            outside = middle
    return float(inside), _winner(scores(_moved(given, k, outside)), current)


def _moved(given: np.ndarray, k: int, weight: float) -> np.ndarray:
    others = np.where(np.arange(len(given)) == k, 0.0, given)
    if others.sum() == 0:  # they have no proportions to keep
        others = np.where(np.arange(len(given)) == k, 0.0, 1.0)
    moved = others / others.sum() * (1 - weight)
    moved[k] = weight
    return moved


def _winner(scores: np.ndarray, current: int) -> int:
    """Return the index of the best score; ties go to the current winner."""
    return current if scores[current] >= scores.max() - 1e-12 else int(scores.argmax())
