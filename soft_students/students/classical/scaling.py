"""Standardisation of columns, for students that use distances."""

from __future__ import annotations

import numpy as np


def column_scaling(
    X: np.ndarray, weights: np.ndarray | None, standardize: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of each column, or the identity.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    weights : ndarray of shape (n_samples,) or None
    standardize : bool

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
        Zeros and ones if `standardize` is False. The scale of a constant column is one.
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
    """Check and return the arrays ``mean`` and ``scale`` of a bundle."""
    mean, scale = arrays["mean"], arrays["scale"]
    for array in (mean, scale):
        if array.dtype != np.float64 or array.shape != (n_features,):
            raise ValueError(f"mean and scale must be float64 of shape ({n_features},)")
    if not (scale > 0).all():
        raise ValueError("the scale of a column must be positive")
    return mean, scale


def pixel_settings(image_shape: tuple[int, ...], n_rows: int) -> dict[str, bool]:
    """Return the settings for images: no scaling, which would amplify rarely used pixels."""
    return {"standardize": False}
