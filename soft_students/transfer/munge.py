"""MUNGE: rows between neighbours."""

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

_MAX_LEVELS = 32  # of a category, that the search for neighbours tells apart


class Munge(Transfer):
    r"""Mixes every row with its nearest neighbour [1]_.

    Each value :math:`x_a` is replaced with probability p, where :math:`x'` is the nearest neighbour
    of x: a continuous one by a draw from :math:`N(x'_a, |x_a - x'_a| / s)`, a discrete one by
    :math:`x'_a`. New rows stay where the data are, which a model that answers well there needs.

    Parameters
    ----------
    swap_probability : float, default=0.5
        p, in [0, 1].
    local_variance : float, default=1.0
        s, above 0. The larger, the closer new values are to those of the neighbour.
    categorical : array-like of int or of bool, default=None
        Indices or mask of columns that hold codes of categories. In the search for neighbours two
        categories are alike or not.
    discrete : "auto", array-like of int or of bool, or None, default="auto"
        Columns of numbers in which only values that occur may be put. "auto" takes those that hold
        nothing but whole numbers, None takes none. Columns of an integer dtype always belong here.
    candidates : int or None, default=20000
        Neighbours are sought among so many rows, drawn at random: the time then grows with the
        number of rows and not with its square. Up to that many rows, and with None, the nearest of
        all is found.

    Notes
    -----
    The search is made once for all copies, by Euclidean distance between columns of deviation one
    (in the paper, of range one).
    Two categories that differ are as far apart as two values drawn at random; the rarest of more
    than 32 count as one. A missing value (NaN) is the mean in the search; where a row or its
    neighbour lacks a value, the other's, or the lack, is swapped like a category.

    Columns swap one by one: a category belongs in one column of codes, since a row between two
    one-hot rows may be of no category or of two.

    Algorithm 1 of the paper goes through the rows in turn and changes the neighbour too. Here all
    rows are made at once from the rows as they were, so that their order does not matter.

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
            Two rows or more; NaN is a missing value.
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            Columns that hold codes of categories, beside those of the parameter.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`

        Raises
        ------
        ValueError
            If there is one row only, a value is infinite, or a parameter is out of range.
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
        """Yield `n_copies` times what `sample` returns, after one search for neighbours."""
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
        """Draw around the neighbour's values; where one of the two is missing, take them."""
        noise = rng.standard_normal(X.shape)
        noise *= np.abs(X - neighbour) / self.local_variance
        np.nan_to_num(noise, copy=False, nan=0.0)
        return neighbour + noise


def nearest_neighbours(
    X: np.ndarray, categorical: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Return the nearest other row of each row.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        At least two rows; NaN is a missing value.
    categorical : ndarray of bool, shape (n_features,)
        Columns in which values are alike or not.
    candidates : ndarray of int, shape (n_candidates,)
        Two or more rows of `X`, among which neighbours are sought.

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
    # In float32, which holds what standardised values need, the search takes half the time.
    points = np.concatenate(places, axis=1, dtype=np.float32)
    index = NearestNeighbors(n_neighbors=2).fit(points[candidates])
    nearest = candidates[index.kneighbors(points, return_distance=False)]
    # The nearest is the row itself, unless that is no candidate or has a duplicate.
    itself = nearest[:, 0] == np.arange(len(X))
    return np.where(itself, nearest[:, 1], nearest[:, 0])
