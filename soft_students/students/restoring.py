"""Values that the bundles of several students hold, read back and checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


def read_classes(metadata: dict[str, Any], at_least: int = 1) -> np.ndarray:
    """Return the class labels that a bundle's metadata hold.

    Parameters
    ----------
    metadata : dict
    at_least : int, default=1
        Smallest number of classes.

    Raises
    ------
    ValueError
        If they are no labels, or too few.
    """
    classes = metadata["classes"]
    if not (isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) >= at_least):
        raise ValueError("classes must be an array of labels")
    return classes


def read_temperature(metadata: dict[str, Any]) -> float:
    """Return the temperature of training that a bundle's metadata hold.

    Raises
    ------
    ValueError
        If it is no positive number.
    """
    temperature = metadata["temperature"]
    if not (isinstance(temperature, float) and 0 < temperature < math.inf):
        raise ValueError(f"temperature must be a finite number > 0, not {temperature!r}")
    return temperature


def restore_hard_weight(student: BaseEstimator, metadata: dict[str, Any]) -> None:
    """Set the fitted hard weight of a student; bundles of early versions do not hold it.

    Raises
    ------
    ValueError
        If it is not in [0, 1].
    """
    weight = metadata.get("hard_weight")
    if weight is None:
        return
    if not (isinstance(weight, float) and 0 <= weight <= 1):
        raise ValueError(f"hard_weight must be a number in [0, 1], not {weight!r}")
    student.hard_weight_ = weight


def restore_feature_names(
    student: BaseEstimator, metadata: dict[str, Any], n_features: int
) -> None:
    """Set the feature names of a student that was fitted on a DataFrame.

    Raises
    ------
    ValueError
        If their number is not `n_features`.
    """
    names = metadata.get("feature_names")
    if names is None:
        return
    if not (isinstance(names, np.ndarray) and names.shape == (n_features,)):
        raise ValueError(f"feature_names must be an array of {n_features} strings")
    student.feature_names_in_ = names
