"""Fitting again must not lose what was fitted before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator


@contextmanager
def unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Keep an estimator as it was if what is done to it fails or is interrupted.

    Parameters
    ----------
    estimator : BaseEstimator
        Its attributes are replaced, not changed in place, by what is done.
    """
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
