"""Weights from pairwise judgements of criteria: the analytic hierarchy process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from soft_students.ranking.scores import load_pymcdm

_MOST_CRITERIA = 15  # random indices are known up to this number
#: Saaty's scale: 1 equally important, 3 moderately more, 5 strongly, 7 very strongly, 9 extremely.
_SCALE = [*(1 / k for k in range(9, 1, -1)), *map(float, range(1, 10))]


@dataclass(frozen=True)
class Judgements:
    """Weights from pairwise judgements, and the consistency of the judgements.

    Parameters
    ----------
    weights : dict of str to float
        Weight by criterion; they sum to one.
    lambda_max : float
        Largest eigenvalue of the judgement matrix; equals the number of criteria if consistent.
    consistency_index : float
        ``(lambda_max - n) / (n - 1)``.
    consistency_ratio : float
        The index divided by its mean over random judgements: 0 if consistent, near 1 if random.
    """

    weights: dict[str, float]
    lambda_max: float
    consistency_index: float
    consistency_ratio: float


def ahp_weights(
    judgements: Mapping[tuple[str, str], float], *, max_inconsistency: float | None = 0.1
) -> Judgements:
    """Compute weights of criteria from pairwise judgements of their importance.

    The weights are the principal eigenvector of the judgement matrix, computed by pymcdm. Its
    random indices are those of Tummala and Ling (1998), about 1 % from Saaty's first ones.

    Parameters
    ----------
    judgements : dict of (str, str) to float
        Importance of the first criterion relative to the second, on Saaty's scale: 1 to 9, or 1/2
        to 1/9 if less. One judgement per pair, in either order.
    max_inconsistency : float or None, default=0.1
        Largest accepted consistency ratio. Saaty's rule is 0.1; None accepts any.

    Returns
    -------
    Judgements

    Raises
    ------
    ValueError
        If a pair is missing, judged twice or off the scale, or the judgements are too inconsistent;
        the message then names the worst one.
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
    # rounding can make it slightly negative; two criteria are always consistent
    ratio = max(0.0, float(method.get_cr()))
    if max_inconsistency is not None and ratio > max_inconsistency:
        i, j = _worst(matrix, weights)
        implied = weights[i] / weights[j]
        raise ValueError(
            f"The judgements contradict each other: their consistency ratio is {ratio:.3f}, above "
            f"the limit of {max_inconsistency:g}. The least consistent one is "
            f"{names[i]}:{names[j]}={matrix[i, j]:.3g}; the weights imply {implied:.2g}. Change "
            "it, or raise max_inconsistency."
        )
    return Judgements(
        dict(zip(names, weights.tolist(), strict=True)), lambda_max, max(0.0, index), ratio
    )


def _matrix(judgements: Mapping[tuple[str, str], float]) -> tuple[list[str], np.ndarray]:
    names = list(dict.fromkeys(name for pair in judgements for name in pair))
    if len(names) < 2:
        raise ValueError("Judgements must cover at least two criteria.")
    if len(names) > _MOST_CRITERIA:
        raise ValueError(
            f"Judgements can cover at most {_MOST_CRITERIA} criteria. Got {len(names)}."
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
    """Return the indices of the judgement furthest from the ratio of its weights."""
    off = np.abs(np.log(matrix * weights / weights[:, None]))
    i, j = np.unravel_index(off.argmax(), off.shape)
    return (int(i), int(j)) if matrix[i, j] >= 1 else (int(j), int(i))
