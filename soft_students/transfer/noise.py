"""Gaussian noise on continuous columns."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from soft_students.sklearn_private import Interval
from soft_students.transfer.base import Transfer
from soft_students.transfer.columns import DISCRETE, check_rows, discrete_mask


class GaussianNoise(Transfer):
    r"""Adds noise :math:`N(0, (scale \cdot sd)^2)` with the column's standard deviation sd [1]_.

    Discrete columns and missing values (NaN) stay unchanged. New rows keep the label of their
    source row.

    Parameters
    ----------
    scale : float, default=0.3
        Standard deviation of the noise, relative to the column's. Above 0.
    discrete : "auto", array-like of int or of bool, or None, default="auto"
        Indices or mask of columns without noise: categories and whole numbers. "auto": columns of
        only whole numbers; None: no column. Columns of an integer dtype are always discrete.

    References
    ----------
    .. [1] Bishop (1995), "Training with noise is equivalent to Tikhonov regularization", Neural
       Computation 7(1).

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.transfer import GaussianNoise
    >>> X = np.column_stack([np.linspace(0, 1, 50), np.arange(50) % 3])
    >>> made = GaussianNoise(scale=0.1).sample(X, random_state=0)
    >>> (made != X).all(axis=0).tolist()
    [True, False]
    """

    keeps_labels = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "scale": [Interval(Real, 0, np.inf, closed="neither")],
        "discrete": DISCRETE,
    }

    def __init__(self, scale: float = 0.3, discrete: ArrayLike | str | None = "auto") -> None:
        self.scale = scale
        self.discrete = discrete

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
            Further columns without noise, in addition to the parameter's.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`

        Raises
        ------
        ValueError
            If all columns are discrete, a value is infinite, or a parameter is out of range.
        """
        self._validate_params()
        X = check_rows(X, "GaussianNoise")
        noisy = ~discrete_mask(X, self.discrete, categorical, "GaussianNoise")
        if not noisy.any():
            raise ValueError(
                f"GaussianNoise changes nothing: all {X.shape[1]} columns are discrete. Use "
                "MarginalResample or Munge, or set discrete=None if the whole numbers are "
                "continuous values."
            )
        rng = check_random_state(random_state)
        deviation = np.zeros(X.shape[1])
        noisy &= ~np.isnan(X).all(axis=0)
        deviation[noisy] = np.nanstd(X[:, noisy], axis=0, dtype=np.float64)
        made = X.copy()
        made[:, noisy] += self.scale * deviation[noisy] * rng.standard_normal((len(X), noisy.sum()))
        return made
