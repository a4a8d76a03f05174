"""Weights from judgements of pairs of criteria: the analytic hierarchy process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from soft_students.ranking.scores import load_pymcdm

_MOST_CRITERIA = 15  # of which the consistency of random judgements is known
#: Saaty's scale: 1 equally important, 3 moderately more, 5 strongly, 7 very strongly, 9 extremely.
_SCALE = [*(1 / k for k in range(9, 1, -1)), *map(float, range(1, 10))]


@dataclass(frozen=True)
class Judgements:
    """Weights from judgements of pairs, and how far these contradict each other.

    Parameters
    ----------
    weights : dict of str to float
        They sum to one.
    lambda_max : float
        Greatest eigenvalue of the matrix of judgements; the number of criteria if they agree.
    consistency_index : float
        ``(lambda_max - n) / (n - 1)``.
    consistency_ratio : float
        The index, relative to its mean over random judgements: 0 if they agree, 1 as if drawn.
    """

    weights: dict[str, float]
    lambda_max: float
    consistency_index: float
    consistency_ratio: float


def ahp_weights(
    judgements: Mapping[tuple[str, str], float], *, max_inconsistency: float | None = 0.1
) -> Judgements:
    """Weigh criteria by judgements of how much more one matters than another.

    The weights are the principal eigenvector of the matrix of judgements, by the library pymcdm.
    Its random indices are those of Tummala and Ling (1998), which differ from Saaty's first ones by
    about 1 %.

    Parameters
    ----------
    judgements : dict of (str, str) to float
        How many times more the first matters than the second, on Saaty's scale: 1 to 9, or 1/2 to
        1/9 if less. One for each pair, in either order.
    max_inconsistency : float or None, default=0.1
        Greatest consistency ratio. Saaty's rule is a tenth; None takes any.

    Returns
    -------
    Judgements

    Raises
    ------
    ValueError
        If a pair is missing, judged twice or off the scale, or the judgements contradict each other
        too much; the message then names the worst one.
    ImportError
        If pymcdm is not installed.

    References
    ----------
    Saaty (1977), "A scaling method for priorities in hierarchical structures", Journal of
    Mathematical Psychology 15. Tummala and Ling (1998), "A note on the computation of the mean
    random consistency index of the analytic hierarchy process", Theory and Decision 44.

    Examples
    --------
    >>> from soft_students.ranking import ahp_weights
    >>> judged = ahp_weights(
    ...     {("accuracy", "latency_us"): 3, ("accuracy", "bytes"): 5, ("latency_us", "bytes"): 2}
    ... )
    >>> {name: round(weight, 3) for name, weight in judged.weights.items()}
    {'accuracy': 0.648, 'latency_us': 0.23, 'bytes': 0.122}
    >>> round(judged.consistency_ratio, 3)
    0.003
    """
    names, matrix = _matrix(judgements)
    method = load_pymcdm().ahp(matrix=matrix)
    weights = np.asarray(method(), dtype=np.float64)
    n = len(names)
    lambda_max = float((matrix @ weights / weights).mean())
    index = (lambda_max - n) / (n - 1)
    # rounding makes it slightly negative, and two criteria cannot contradict each other
    ratio = max(0.0, float(method.get_cr()))
    if max_inconsistency is not None and ratio > max_inconsistency:
        i, j = _worst(matrix, weights)
        implied = weights[i] / weights[j]
        raise ValueError(
            f"The judgements contradict each other: their consistency ratio is {ratio:.3f}, and at "
            f"most {max_inconsistency:g} is accepted. The furthest from the others is "
            f"{names[i]}:{names[j]}={matrix[i, j]:.3g}, for which they imply {implied:.2g}. Judge "
            "again, or allow more (max_inconsistency)."
        )
    return Judgements(
        dict(zip(names, weights.tolist(), strict=True)), lambda_max, max(0.0, index), ratio
    )


def _matrix(judgements: Mapping[tuple[str, str], float]) -> tuple[list[str], np.ndarray]:
    names = list(dict.fromkeys(name for pair in judgements for name in pair))
    if len(names) < 2:
        raise ValueError("Judgements must be of pairs of at least two criteria.")
    if len(names) > _MOST_CRITERIA:
        raise ValueError(
            f"Judgements can be of at most {_MOST_CRITERIA} criteria, of which the consistency of "
            f"random ones is known. Got {len(names)}."
        )
    place = {name: k for k, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    for (one, two), value in judgements.items():
        if one == two:
            raise ValueError(f"A criterion cannot be judged against itself. Got {one}:{two}.")
        near = min(_SCALE, key=lambda known: abs(known - value))
        if not abs(near - value) < 0.005 * near:  # 0.333 is a third
            raise ValueError(
                f"A judgement must be 1 to 9, or 1/2 to 1/9. Got {one}:{two}={value:g}."
            )
        i, j = place[one], place[two]
        if not np.isnan(matrix[i, j]):
            raise ValueError(f"The pair of {one} and {two} is judged twice.")
        matrix[i, j], matrix[j, i] = near, 1 / near
    missing = [
        f"{one}:{two}"
        for one, two in combinations(names, 2)
        if np.isnan(matrix[place[one], place[two]])
    ]
    if missing:
        raise ValueError(f"Every pair of criteria must be judged. Missing: {', '.join(missing)}.")
    return names, matrix


def _worst(matrix: np.ndarray, weights: np.ndarray) -> tuple[int, int]:
    """Return the judgement that is furthest from what the weights imply."""
    off = np.abs(np.log(matrix * weights / weights[:, None]))
    i, j = np.unravel_index(off.argmax(), off.shape)
    return (int(i), int(j)) if matrix[i, j] >= 1 else (int(j), int(i))
