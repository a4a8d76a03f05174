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
    """Makes new rows from training rows, for the teacher to label.

    Its parameters are hyper-parameters of the student that has it as a parameter: `clone`, searches
    and bundles include them.

    Attributes
    ----------
    eight_bit : bool
        Class attribute: whether 256 levels between the smallest and the largest value of `X`
        suffice to store the new rows, as for images.
    keeps_labels : bool
        Class attribute: whether a new row keeps the label of its source row. If not, new rows need
        a teacher, and `hard_weight` does not apply to them.
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
            Columns with codes of categories, given by the student. They add to those that the
            transfer set's own parameters name or detect.

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
        """Yield the result of `sample` `n_copies` times; the copies may share work on `X`.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        n_copies : int
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            As for `sample`.

        Yields
        ------
        ndarray of shape (n, n_features), of the dtype of `X`
        """
        random_state = check_random_state(random_state)
        for _ in range(n_copies):
            yield self.sample(X, random_state, categorical=categorical)
