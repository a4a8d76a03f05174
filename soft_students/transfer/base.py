"""The interface of a transfer set."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.random import RandomState
from sklearn.base import BaseEstimator


class Transfer(BaseEstimator, ABC):
    """Makes new inputs from training inputs; the teacher then labels them.

    Its parameters are hyper-parameters of the student that holds it: they take part in `clone`, in
    searches and in bundles.

    Attributes
    ----------
    eight_bit : bool
        Class attribute: whether 256 levels between the smallest and the largest value of `X` are
        enough to keep the new rows, as for images.
    """

    eight_bit: bool = False

    @abstractmethod
    def sample(self, X: np.ndarray, random_state: int | RandomState | None = None) -> np.ndarray:
        """Return one new row for each row of `X`.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        random_state : int, RandomState instance or None

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`
        """
