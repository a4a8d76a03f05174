"""Protection of a fitted estimator from a failed second fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator


@contextmanager
def unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Restore an estimator's attributes if the block fails or is interrupted.

    Parameters
    ----------
    estimator : BaseEstimator
        The block may replace its attributes, but not change them in place.
    """
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
