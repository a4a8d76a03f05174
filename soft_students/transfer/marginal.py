"""Rows with values redrawn from their column."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from sklearn.utils import check_random_state

from soft_students.sklearn_private import Interval
from soft_students.transfer.base import Transfer
from soft_students.transfer.columns import check_rows


class MarginalResample(Transfer):
    """Redraws values from the marginal distribution of their column.

    Each value is replaced, with `probability`, by that of a random row. At 1, columns become
    independent: the baseline RANDOM of [1]_, which leaves the region of the data where columns
    depend on each other.

    New values always occur in their column, missing ones (NaN) included; categories and whole
    numbers need no parameter.

    Parameters
    ----------
    probability : float, default=0.5
        Probability of replacing a value, in [0, 1].

    References
    ----------
    .. [1] Bucila, Caruana and Niculescu-Mizil (2006), "Model compression", KDD, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.transfer import MarginalResample
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> made = MarginalResample().sample(X, random_state=0)
    >>> bool(np.isin(made[:, 1], X[:, 1]).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "probability": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probability

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
            Ignored: all columns are treated alike.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`

        Raises
        ------
        ValueError
            If a value is infinite, or a parameter is out of range.
        """
        self._validate_params()
        X = check_rows(X, "MarginalResample")
        rng = check_random_state(random_state)
        others = rng.randint(len(X), size=X.shape)
        redrawn = rng.random_sample(X.shape) < self.probability
        return np.where(redrawn, np.take_along_axis(X, others, axis=0), X)
