"""Classification by regression: one regression per logit, and a calibration of the outputs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from soft_students.students.classical.base import ClassicalStudentClassifier

# Logarithms of smaller probabilities would dominate a squared error, although the probabilities
# hardly differ. Measured from 1e-2 to 1e-6 on breast_cancer, wine and digits, with SVR and
# boosting: 1e-2 lowers the fidelity to a teacher, and less than 1e-3 worsens the log-loss on
# labels. Regression on the probabilities themselves had two to three times the log-loss on wine and
# digits, and a tenth less on breast_cancer with boosting.
LEAST_PROBABILITY = 1e-3
_PULL = 1e-3  # of the scale towards one: matters only if outputs are constant


class LogitStudentClassifier(ClassicalStudentClassifier):
    """Base class of classifiers by regression on logits.

    Subclasses define `_fit_values` and `_values`. The regression targets are the logarithms of the
    soft targets, clipped at `LEAST_PROBABILITY`, minus their mean in each row; for two classes,
    only the second's. Since a library may shrink the outputs f or predict a median, they become
    logits :math:`a f + b`, with the scale a and the biases b that minimise the soft cross-entropy
    on the training rows.
    """

    @abstractmethod
    def _fit_values(self, X: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> None:
        """Fit `values` of shape (n, n_outputs) and store the fitted values."""

    @abstractmethod
    def _values(self, X: np.ndarray) -> np.ndarray:
        """Return values of shape (n, n_outputs)."""

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        values = clipped_logits(targets)
        self._fit_values(X, values[:, 1:] if targets.shape[1] == 2 else values, weights)
        self.scale_, self.bias_ = calibrate(self._outputs(X), targets, weights)

    @property
    def _calibration_size(self) -> int:
        # a classifier inside GenericStudentClassifier is not calibrated
        return 1 + len(self.bias_) if hasattr(self, "bias_") else 0

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        values = self._values(X)
        return np.concatenate([-values, values], axis=1) if len(self.classes_) == 2 else values

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class, at temperature one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        outputs = self._outputs(self._rows(X, reset=False))
        return softmax(self.temperature_ * (self.scale_ * outputs + self.bias_), axis=1)

    def _output_state(self) -> dict[str, Any]:
        return super()._output_state() | {"scale": self.scale_, "bias": self.bias_}

    def _restore_outputs(self, metadata: dict[str, Any]) -> int:
        n_classes = super()._restore_outputs(metadata)
        scale, bias = metadata["scale"], metadata["bias"]
        if not (isinstance(scale, float) and np.isfinite(scale)):
            raise ValueError(f"scale must be a finite number, not {scale!r:.80}")
        if not (isinstance(bias, np.ndarray) and bias.dtype == np.float64):
            raise ValueError("bias must be an array of float64")
        if bias.shape != (n_classes,) or not np.isfinite(bias).all():
            raise ValueError(f"bias must contain {n_classes} finite numbers")
        self.scale_, self.bias_ = scale, bias
        return 1 if n_classes == 2 else n_classes


def clipped_logits(targets: np.ndarray) -> np.ndarray:
    """Return the logarithms of clipped probabilities, minus their mean in each row.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, n_classes)

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.students.classical.logits import clipped_logits
    >>> clipped_logits(np.array([[1.0, 0.0]])).round(3)
    array([[ 3.454, -3.454]])
    """
    logits = np.log(np.clip(targets, LEAST_PROBABILITY, None))
    return logits - logits.mean(axis=1, keepdims=True)


def calibrate(
    outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None
) -> tuple[float, np.ndarray]:
    """Return the scale and biases of outputs that minimise the soft cross-entropy.

    Parameters
    ----------
    outputs, targets : ndarray of shape (n_samples, n_classes)
    weights : ndarray of shape (n_samples,) or None

    Returns
    -------
    scale : float
    bias : ndarray of shape (n_classes,)
        Biases, with mean zero.
    """
    n_classes = targets.shape[1]
    shares = np.full(len(targets), 1.0) if weights is None else weights
    shares = (shares / shares.sum())[:, None]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = flat[0], flat[1:]
        log_p = log_softmax(scale * outputs + bias, axis=1)
        error = shares * (np.exp(log_p) - targets)
        value = -(shares * targets * log_p).sum() + _PULL / 2 * (scale - 1) ** 2
        slope = (error * outputs).sum() + _PULL * (scale - 1)
        return value, np.concatenate([[slope], error.sum(axis=0)])

    start = np.concatenate([[1.0], np.zeros(n_classes)])
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "gtol": 1e-9, "ftol": 4 * np.finfo(float).eps},
    )
    return float(found.x[0]), found.x[1:] - found.x[1:].mean()
