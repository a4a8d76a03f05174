"""Mixup: rows on the line between two rows."""

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


class Mixup(Transfer):
    r"""Mixes each row with another one, drawn at random [1]_.

    The new row is :math:`\lambda x_i + (1 - \lambda) x_j`, with one
    :math:`\lambda \sim Beta(\alpha, \alpha)` per row. The teacher labels it, while the paper also
    mixes the labels. Discrete values, and values that one of the rows lacks (NaN), come from row i
    with probability λ, otherwise from row j.

    Parameters
    ----------
    alpha : float, default=1.0
        α, above 0. At 1, λ is uniform; towards 0, new rows are close to one of the two.
    discrete : "auto", array-like of int or of bool, or None, default="auto"
        Indices or mask of columns that take one of the two values: categories and whole numbers.
        "auto": columns of only whole numbers; None: no column. Columns of an integer dtype are
        always discrete.

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin and Lopez-Paz (2018), "mixup: beyond empirical risk minimization",
       ICLR, arXiv:1710.09412, section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.transfer import Mixup
    >>> X = np.column_stack([np.linspace(0, 1, 50), np.arange(50) % 3])
    >>> made = Mixup(alpha=0.4).sample(X, random_state=0)
    >>> np.unique(made[:, 1]).tolist(), bool((0 <= made[:, 0]).all())
    ([0.0, 1.0, 2.0], True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, np.inf, closed="neither")],
        "discrete": DISCRETE,
    }

    def __init__(self, alpha: float = 1.0, discrete: ArrayLike | str | None = "auto") -> None:
        self.alpha = alpha
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
            At least two rows.
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            Further discrete columns, in addition to the parameter's.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`

        Raises
        ------
        ValueError
            If `X` has a single row, a value is infinite, or a parameter is out of range.
        """
        self._validate_params()
        X = check_rows(X, "Mixup", at_least=2)
        discrete = discrete_mask(X, self.discrete, categorical, "Mixup")
        rng = check_random_state(random_state)
        n = len(X)
        partners = X[(np.arange(n) + rng.randint(1, n, size=n)) % n]
        share = rng.beta(self.alpha, self.alpha, size=(n, 1))
        made = np.where(rng.random_sample(X.shape) < share, X, partners)
        mixed = ~(discrete | np.isnan(X) | np.isnan(partners))
        between = share * X + (1 - share) * partners
        made[mixed] = between[mixed]
        return made
