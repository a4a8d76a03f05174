"""The values of students as they might be measured again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 1000

#: By student and criterion.
Errors = Mapping[str, Mapping[str, float | None]]
Redrawn = Mapping[str, Mapping[str, ArrayLike]]


def redraw(
    matrix: np.ndarray,
    names: Sequence[str],
    criteria: Sequence[str],
    standard_errors: Errors | None,
    redrawn: Redrawn | None,
    random_state: int | None,
) -> np.ndarray | None:
    """Return the values of repeated measurements.

    Parameters
    ----------
    matrix : ndarray of shape (n_alternatives, n_criteria)
        The measured values.
    names, criteria : sequence of str
        Names of its rows and columns.
    standard_errors : dict of str to dict of str to float, or None
        Standard errors of some values, drawn independently from normal distributions.
    redrawn : dict of str to dict of str to array-like of shape (n_draws,), or None
        Drawn values of some entries; the draws of one number belong together.
    random_state : int or None
        Seed of the normal distributions.

    Returns
    -------
    ndarray of shape (n_draws, n_alternatives, n_criteria), or None
        Entries without a standard error or draws keep their values. None if no entry has one.

    Raises
    ------
    ValueError
        If a standard error is negative or not finite, or draws differ in number or are not finite.
    """
    rng = np.random.default_rng(random_state)
    found: dict[tuple[int, int], np.ndarray] = {}
    for i, name in enumerate(names):
        for k, criterion in enumerate(criteria):
            error = (standard_errors or {}).get(name, {}).get(criterion)
            if error is not None:
                if not (np.isfinite(error) and error >= 0):
                    raise ValueError(
                        f"The standard error of {criterion!r} of {name!r} must be 0 or more. Got "
                        f"{error}."
                    )
                found[i, k] = rng.normal(matrix[i, k], error, size=DRAWS)
            given = (redrawn or {}).get(name, {}).get(criterion)
            if given is not None:
                found[i, k] = np.asarray(given, dtype=np.float64)
    if not found:
        return None
    shapes = {values.shape for values in found.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1 or not next(iter(shapes))[0]:
        raise ValueError(
            "All redrawn values must be one-dimensional and as many as each other"
            + (f", {DRAWS} beside standard errors" if standard_errors else "")
            + f". Got the shapes {', '.join(map(str, sorted(shapes)))}."
        )
    for (i, k), values in found.items():
        if not np.isfinite(values).all():
            raise ValueError(f"Redrawn values of {criteria[k]!r} of {names[i]!r} are not finite.")
    made = np.repeat(matrix[None], shapes.pop()[0], axis=0)
    for (i, k), values in found.items():
        made[:, i, k] = values
    return made


def dominated_shares(matrices: np.ndarray, higher: np.ndarray) -> np.ndarray:
    """Return how often each alternative dominates each other one.

    Parameters
    ----------
    matrices : ndarray of shape (n_draws, n_alternatives, n_criteria)
    higher : ndarray of bool, shape (n_criteria,)
        Whether higher is better.

    Returns
    -------
    ndarray of shape (n_alternatives, n_alternatives)
        Share of the draws in which i is as good as j in every criterion, and better in one.
    """
    good = matrices * np.where(higher, 1.0, -1.0)
    one, other = good[:, :, None], good[:, None]
    return ((one >= other).all(axis=3) & (one > other).any(axis=3)).mean(axis=0)
