"""MUNGE: rows between nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import check_random_state

from soft_students.sklearn_private import Interval
from soft_students.transfer.base import Transfer
from soft_students.transfer.columns import DISCRETE, check_rows, column_mask, discrete_mask

_MAX_LEVELS = 32  # categories per column that the search for neighbours distinguishes


class Munge(Transfer):
    r"""Mixes each row with its nearest neighbour [1]_.

    Each value :math:`x_a` of a row x with nearest neighbour :math:`x'` is replaced with probability
    p: a continuous value by a draw from :math:`N(x'_a, |x_a - x'_a| / s)`, a discrete one by
    :math:`x'_a`. New rows stay in the region of the data, where the teacher is accurate.

    Parameters
    ----------
    swap_probability : float, default=0.5
        p, in [0, 1].
    local_variance : float, default=1.0
        s, above 0. The larger, the closer new values are to those of the neighbour.
    categorical : array-like of int or of bool, default=None
        Indices or mask of columns with codes of categories. The search for neighbours only
        compares categories for equality.
    discrete : "auto", array-like of int or of bool, or None, default="auto"
        Indices or mask of numeric columns whose new values must occur in the data. "auto": columns
        of only whole numbers; None: no column. Columns of an integer dtype are always discrete.
    candidates : int or None, default=20000
        Number of rows, drawn at random, among which neighbours are searched, so that the time grows
        linearly with the number of rows, not with its square. None: all rows.

    Notes
    -----
    One search serves all copies. It uses the Euclidean distance with columns scaled to standard
    deviation one (in the paper, to range one).
    Two different categories are as far apart as two random values; beyond 32 categories the rarest
    count as one. In the search, a missing value (NaN) counts as the mean. Where a row or its
    neighbour lacks a value, the neighbour's value or its absence is swapped like a category.

    Columns swap independently. Encode a category as one column of codes: a row between two one-hot
    rows may have no category or two.

    Algorithm 1 of the paper processes rows in turn and also changes the neighbour. Here all new
    rows are made from the original ones, so that their order does not matter.

    References
    ----------
    .. [1] Bucila, Caruana and Niculescu-Mizil (2006), "Model compression", KDD, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.transfer import Munge
    >>> X = np.column_stack([np.linspace(0, 1, 50), np.arange(50) % 3])
    >>> made = Munge(local_variance=2.0).sample(X, random_state=0)
    >>> made.shape, np.unique(made[:, 1]).tolist()
    ((50, 2), [0.0, 1.0, 2.0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "swap_probability": [Interval(Real, 0, 1, closed="both")],
        "local_variance": [Interval(Real, 0, np.inf, closed="neither")],
        "categorical": ["array-like", None],
        "discrete": DISCRETE,
        "candidates": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self,
        swap_probability: float = 0.5,
        local_variance: float = 1.0,
        categorical: ArrayLike | None = None,
        discrete: ArrayLike | str | None = "auto",
        candidates: int | None = 20_000,
    ) -> None:
        self.swap_probability = swap_probability
        self.local_variance = local_variance
        self.categorical = categorical
        self.discrete = discrete
        self.candidates = candidates

    def sample(
        self,
        X: np.ndarray,
        random_state: int | RandomState | None = None,
        *,
        categorical: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return one new row for each row of `X`.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            At least two rows; NaN is a missing value.
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            Further columns with codes of categories, in addition to the parameter's.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`

        Raises
        ------
        ValueError
            If `X` has a single row, a value is infinite, or a parameter is out of range.
        """
        return next(self.copies(X, 1, random_state, categorical=categorical))

    def copies(
        self,
        X: np.ndarray,
        n_copies: int,
        random_state: int | RandomState | None = None,
        *,
        categorical: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield the result of `sample` `n_copies` times, with one search for neighbours."""
        self._validate_params()
        X = check_rows(X, "Munge", at_least=2)
        rng = check_random_state(random_state)
        categories = column_mask(self.categorical, X.shape[1], "categorical", "Munge")
        categories |= column_mask(categorical, X.shape[1], "categorical", "Munge")
        swapped = discrete_mask(X, self.discrete, categories, "Munge")
        pool = np.arange(len(X))
        if self.candidates is not None and len(X) > self.candidates:
            pool = rng.choice(len(X), self.candidates, replace=False)
        neighbour = X[nearest_neighbours(X, categories, pool)]
        for _ in range(n_copies):
            made = neighbour.copy()
            made[:, ~swapped] = self._between(X[:, ~swapped], made[:, ~swapped], rng)
            kept = rng.random_sample(X.shape) >= self.swap_probability
            np.copyto(made, X, where=kept)
            yield made

    def _between(self, X: np.ndarray, neighbour: np.ndarray, rng: RandomState) -> np.ndarray:
        """Draw around the neighbour's values; return them unchanged if one is missing."""
        noise = rng.standard_normal(X.shape)
        noise *= np.abs(X - neighbour) / self.local_variance
        np.nan_to_num(noise, copy=False, nan=0.0)
        return neighbour + noise


def nearest_neighbours(
    X: np.ndarray, categorical: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Return the index of the nearest other row of each row.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        At least two rows; NaN is a missing value.
    categorical : ndarray of bool, shape (n_features,)
        Columns whose values are only compared for equality.
    candidates : ndarray of int, shape (n_candidates,)
        Indices of the possible neighbours, at least two.

    Returns
    -------
    ndarray of int, shape (n,)
        Never the row itself.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.transfer.munge import nearest_neighbours
    >>> X = np.array([[0.0], [1.0], [3.0], [3.5]])
    >>> nearest_neighbours(X, np.array([False]), np.arange(4)).tolist()
    [1, 0, 3, 2]
    """
    known = ~np.isnan(X).all(axis=0)
    places = [np.zeros((len(X), 1))]
    if (known & ~categorical).any():
        numbers = X[:, known & ~categorical].astype(np.float64)
        places.append(np.nan_to_num(StandardScaler().fit_transform(numbers), nan=0.0))
    if categorical.any():
        encoder = OneHotEncoder(max_categories=_MAX_LEVELS, sparse_output=False)
        places.append(encoder.fit_transform(X[:, categorical]))
    # float32 is precise enough for standardised values and halves the time of the search.
    points = np.concatenate(places, axis=1, dtype=np.float32)
    index = NearestNeighbors(n_neighbors=2).fit(points[candidates])
    nearest = candidates[index.kneighbors(points, return_distance=False)]
    # The nearest is the row itself, unless it is not a candidate or has a duplicate.
    itself = nearest[:, 0] == np.arange(len(X))
    return np.where(itself, nearest[:, 1], nearest[:, 0])
