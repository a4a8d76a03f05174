"""Standardisation of a network's inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Standardize:
    """Subtract a mean and divide by a standard deviation.

    Parameters
    ----------
    mean, std : torch.Tensor
        Float32 tensors that broadcast against one input: (channels, 1, 1) or (n_features,).
    """

    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def fit(cls, X: np.ndarray, input_shape: tuple[int, ...]) -> Standardize:
        """Estimate mean and deviation from rows of `X`: per channel for images, else per feature.

        Not per pixel: a pixel at an image's border is nearly constant, and dividing by its
        deviation would amplify its few other values.
        """
        if len(input_shape) == 3:
            values = X.reshape(len(X), input_shape[0], -1)
            mean, std = values.mean((0, 2), dtype=float), values.std((0, 2), dtype=float)
        else:
            mean, std = X.mean(0, dtype=float), X.std(0, dtype=float)
        return cls._of(mean, std, input_shape)

    @classmethod
    def from_moments(
        cls, mean: np.ndarray, variance: np.ndarray, input_shape: tuple[int, ...]
    ) -> Standardize:
        """Return the same as `fit`, from the mean and the variance of each feature."""
        if len(input_shape) == 3:
            by_pixel = mean.reshape(input_shape[0], -1)
            mean = by_pixel.mean(1)
            variance = variance.reshape(input_shape[0], -1).mean(1) + by_pixel.var(1)
        return cls._of(mean, np.sqrt(variance), input_shape)

    @classmethod
    def _of(cls, mean: np.ndarray, std: np.ndarray, input_shape: tuple[int, ...]) -> Standardize:
        shape = (-1, 1, 1) if len(input_shape) == 3 else input_shape
        # a constant feature has no scale, but rounding may give it a tiny deviation
        std = np.where(std > 1e-6 * np.maximum(np.abs(mean), 1e-30), std, 1.0)
        return cls(
            torch.from_numpy(mean.astype(np.float32)).reshape(shape),
            torch.from_numpy(std.astype(np.float32)).reshape(shape),
        )

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the standardised inputs, of shape (n, ...)."""
        return (inputs - self.mean.to(inputs.device)) / self.std.to(inputs.device)
