"""XGBoost's softmax objective for soft targets."""

from __future__ import annotations

import numpy as np
from xgboost import DMatrix

_LEAST_HESSIAN = 1e-16  # XGBoost's own floor


class SoftCrossEntropy:
    """XGBoost's softmax objective, with a distribution instead of each label."""

    def __init__(self, targets: np.ndarray, weights: np.ndarray, temperature: float) -> None:
        # one row per class: numpy is slow along short axes
        self._targets = np.ascontiguousarray(targets.T, dtype=np.float32)
        self._weights = weights.astype(np.float32)
        self._temperature = temperature

    def __call__(self, margins: np.ndarray, data: DMatrix) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and twice the Hessian's diagonal with respect to the margins."""
        T, w = np.float32(self._temperature), self._weights
        if margins.ndim == 1:
            p = 1 / (1 + np.exp(-margins / T))
            gradient, hessian = T * w * (p - self._targets[1]), w * p * (1 - p)
            return gradient, np.maximum(hessian, _LEAST_HESSIAN)
        p = _softmax(margins.T / T)
        gradient, hessian = p - self._targets, p - np.square(p)
        gradient *= T * w
        hessian *= 2 * w
        np.maximum(hessian, _LEAST_HESSIAN, out=hessian)
        return np.ascontiguousarray(gradient.T), np.ascontiguousarray(hessian.T)

    def loss(self, margins: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        """Return the mean cross-entropy at the temperature of training."""
        T = self._temperature
        if margins.ndim == 1:
            margins = np.stack([np.zeros_like(margins), margins], axis=1)
        p = _softmax(margins.T / T)
        losses = -(targets.T * np.log(np.clip(p, np.finfo(np.float32).tiny, None))).sum(axis=0)
        return float(np.average(losses, weights=weights))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.ascontiguousarray(logits)
    powers -= powers.max(axis=0)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=0)
    return powers
