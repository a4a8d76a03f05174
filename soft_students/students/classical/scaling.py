"""Columns at deviation one, for students that measure distances."""

from __future__ import annotations

import numpy as np


def column_scaling(
    X: np.ndarray, weights: np.ndarray | None, standardize: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the deviation of each column, or what leaves the columns alone.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    weights : ndarray of shape (n_samples,) or None
    standardize : bool

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
        Zeros and ones without `standardize`. The scale of a constant column is one.
    """
    if not standardize:
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    mean = np.average(X, axis=0, weights=weights)
    scale = np.sqrt(np.average(np.square(X - mean), axis=0, weights=weights))
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1
    return mean, scale


def restored_scaling(
    arrays: dict[str, np.ndarray], n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays ``mean`` and ``scale`` of a bundle, checked."""
    mean, scale = arrays["mean"], arrays["scale"]
    for array in (mean, scale):
        if array.dtype != np.float64 or array.shape != (n_features,):
            raise ValueError(f"mean and scale must be float64 of shape ({n_features},)")
    if not (scale > 0).all():
        raise ValueError("the scale of a column must be positive")
    return mean, scale


def pixel_settings(image_shape: tuple[int, ...], n_rows: int) -> dict[str, bool]:
    """Return the settings for images: pixels are of one kind, and the rare ones are not louder."""
    return {"standardize": False}
