"""Multi-criteria scores of alternatives, computed by the library pymcdm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

#: Normalisations that make the values of different criteria comparable, with their definitions.
NORMALIZATIONS = {
    "minmax": "the worst is 0, the best 1",
    "vector": "divided by the column's Euclidean norm",
    "ratio": "relative to the best: x / max, or min / x of costs",
    "sum": "shares of the sum: x / sum, or of 1/x of costs",
    "reference": "relative to a reference: x / reference, or reference / x of costs",
}
OF_POSITIVE_VALUES = ("ratio", "sum", "reference")


@dataclass(frozen=True)
class _Pymcdm:
    topsis: Callable[..., Any]
    weighted_sum: Callable[..., Any]
    ahp: Callable[..., Any]
    normalize: Callable[..., np.ndarray]
    normalizations: Mapping[str, Callable[..., np.ndarray]]


@cache
def load_pymcdm() -> _Pymcdm:
    """Import pymcdm and return the functions used from it.

    Raises
    ------
    ImportError
        If pymcdm is not installed.
    """
    try:
        from pymcdm import helpers, normalizations
        from pymcdm.methods import TOPSIS, WSM
        from pymcdm.weights.subjective import AHP
    except ImportError as error:
        raise ImportError(
            "Ranking students by several criteria needs pymcdm, which is not installed. Install "
            "it: pip install 'soft-students[ranking]'."
        ) from error
    return _Pymcdm(
        TOPSIS,
        WSM,
        AHP,
        helpers.normalize_matrix,
        {
            "minmax": normalizations.minmax_normalization,
            "vector": normalizations.vector_normalization,
            "ratio": normalizations.linear_normalization,
            "sum": normalizations.sum_normalization,
        },
    )


def normalized(
    matrix: np.ndarray,
    higher: np.ndarray,
    normalization: str,
    criteria: list[str],
    reference: np.ndarray | None = None,
) -> np.ndarray:
    """Return the normalised decision matrix, in which higher is better.

    Parameters
    ----------
    matrix : ndarray of shape (n_alternatives, n_criteria)
        Finite values.
    higher : ndarray of bool, shape (n_criteria,)
        Whether higher is better.
    normalization : {"minmax", "vector", "ratio", "sum", "reference"}
        See `NORMALIZATIONS`. A column of equal values, which decides nothing, becomes ones by
        ``"minmax"``.
    criteria : list of str
        Names for the message.
    reference : ndarray of shape (n_criteria,), default=None
        Values for ``"reference"``; None: the means of the columns.

    Returns
    -------
    ndarray of shape (n_alternatives, n_criteria)

    Raises
    ------
    ValueError
        If a value is not above zero and the normalisation needs it to be.
    """
    if normalization in OF_POSITIVE_VALUES:
        for criterion, column in zip(criteria, matrix.T, strict=True):
            if column.min() <= 0:
                raise ValueError(
                    f"The normalization {normalization!r} takes ratios of values, which must be "
                    f"above 0. Got {column.min():g} of {criterion!r}. Choose 'minmax'."
                )
    if normalization == "reference":
        against = matrix.mean(axis=0) if reference is None else reference
        return np.where(higher, matrix / against, against / matrix)
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1.0  # a column of zeros
    scaled = matrix / scale  # no square overflows
    if normalization == "vector":
        scaled = np.where(scaled.any(axis=0), scaled, 1.0)  # a column of zeros has no norm
    library = load_pymcdm()
    types = np.where(higher, 1, -1)
    return library.normalize(scaled, library.normalizations[normalization], types)


def topsis_scores(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the relative closeness of each alternative to the best values of all criteria.

    Parameters
    ----------
    values : ndarray of shape (n_alternatives, n_criteria)
        Normalised.
    weights : ndarray of shape (n_criteria,)

    Returns
    -------
    ndarray of shape (n_alternatives,)
        Scores in [0, 1]; all 1 if the alternatives are identical, as each is then the ideal.
    """
    with np.errstate(invalid="ignore"):
        closeness = load_pymcdm().topsis(_as_it_is)(
            values, weights, np.ones(len(weights)), validation=False
        )
    return np.where(np.isnan(closeness), 1.0, closeness)


def weighted_sums(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum of each alternative's values.

    Parameters
    ----------
    values : ndarray of shape (n_alternatives, n_criteria)
        Normalised.
    weights : ndarray of shape (n_criteria,)

    Returns
    -------
    ndarray of shape (n_alternatives,)
    """
    return load_pymcdm().weighted_sum(_as_it_is)(
        values, weights, np.ones(len(weights)), validation=False
    )


def means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of each alternative's values, over the criteria with a weight above 0.

    Parameters
    ----------
    values : ndarray of shape (n_alternatives, n_criteria)
        Normalised.
    weights : ndarray of shape (n_criteria,)

    Returns
    -------
    ndarray of shape (n_alternatives,)
    """
    return values[:, weights > 0].mean(axis=1)


def _as_it_is(column: np.ndarray, cost: bool = False) -> np.ndarray:
    return column
