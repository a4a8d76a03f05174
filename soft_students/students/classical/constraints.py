"""Conversion of constraints on features, by number or name, to the form of boosting libraries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator


def monotone_signs(
    given: ArrayLike | Mapping[str, int] | None, student: BaseEstimator
) -> tuple[int, ...] | None:
    """Return the sign of each feature's monotone constraint: -1, 0 or 1.

    Parameters
    ----------
    given : array-like of shape (n_features,), dict of str to int, or None
        The student's parameter `monotone_constraints`. Features missing in a dict have none.
    student : estimator
        Student with `n_features_in_`, and `feature_names_in_` if the features have names.

    Returns
    -------
    tuple of int, or None

    Raises
    ------
    ValueError
        If `given` is not one sign per feature, or a feature is unknown.
    """
    if given is None:
        return None
    n_features = student.n_features_in_
    if isinstance(given, Mapping):
        signs: Any = np.zeros(n_features, dtype=int)
        for name, sign in given.items():
            signs[_number(name, "monotone_constraints", student)] = sign
    else:
        signs = np.asarray(given)
    if signs.shape != (n_features,) or not np.isin(signs, (-1, 0, 1)).all():
        raise ValueError(
            f"The 'monotone_constraints' of {type(student).__name__} must be -1, 0 or 1 for each "
            f"of {n_features} features. Got {given!r:.100} instead."
        )
    return tuple(int(sign) for sign in signs)


def interaction_groups(
    given: Iterable[Iterable[int | str]] | None, student: BaseEstimator
) -> list[list[int]] | None:
    """Return the groups of interaction constraints, as numbers of features.

    Parameters
    ----------
    given : iterable of iterables of int or str, or None
        The student's parameter `interaction_constraints`.
    student : estimator
        See `monotone_signs`.

    Returns
    -------
    list of lists of int, or None

    Raises
    ------
    ValueError
        If a feature is unknown.
    """
    if given is None:
        return None
    return [
        [_number(feature, "interaction_constraints", student) for feature in group]
        for group in given
    ]


def _number(feature: Any, parameter: str, student: BaseEstimator) -> int:
    names = getattr(student, "feature_names_in_", np.array([], dtype=object)).tolist()
    if isinstance(feature, str):
        if feature in names:
            return names.index(feature)
    elif isinstance(feature, Integral) and int(feature) in range(student.n_features_in_):
        return int(feature)
    known = f"one of {names[:20]}" if names else f"a number below {student.n_features_in_}"
    raise ValueError(
        f"The {parameter!r} of {type(student).__name__} must name features: {known}. Got "
        f"{feature!r} instead."
    )
