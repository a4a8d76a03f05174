"""The interface of a transfer set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state


class Transfer(BaseEstimator, ABC):
    """Makes new inputs from training inputs; the teacher then labels them.

    Its parameters are hyper-parameters of the student that holds it: they take part in `clone`, in
    searches and in bundles.

    Attributes
    ----------
    eight_bit : bool
        Class attribute: whether 256 levels between the smallest and the largest value of `X` are
        enough to keep the new rows, as for images.
    keeps_labels : bool
        Class attribute: whether a new row still bears the label of the row it is made from. If
        not, a student needs a teacher to use it, and `hard_weight` leaves the new rows alone.
    """

    eight_bit: bool = False
    keeps_labels: bool = False

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    @abstractmethod
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
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            Which columns hold codes of categories, as the student knows them. They are added to
            those that the transfer set itself is told of or finds.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`
        """

    def copies(
        self,
        X: np.ndarray,
        n_copies: int,
        random_state: int | RandomState | None = None,
        *,
        categorical: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield `n_copies` times what `sample` returns; work on `X` may be shared between them.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        n_copies : int
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            As in `sample`.

        Yields
        ------
        ndarray of shape (n, n_features), of the dtype of `X`
        """
        random_state = check_random_state(random_state)
        for _ in range(n_copies):
            yield self.sample(X, random_state, categorical=categorical)
