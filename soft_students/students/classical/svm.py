"""Support vector machines: one regression per logit."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.svm import SVR
from sklearn.utils import gen_batches

from soft_students.sklearn_private import Interval, StrOptions
from soft_students.students.classical.base import ClassicalStudent, ClassicalStudentRegressor
from soft_students.students.classical.logits import LogitStudentClassifier
from soft_students.students.classical.scaling import (
    column_scaling,
    pixel_settings,
    restored_scaling,
)
from soft_students.transfer import Transfer

_KERNEL_ENTRIES = 2**23  # kernel values in memory during prediction

_SHARED: dict[str, list[Any]] = {
    "kernel": [StrOptions({"linear", "poly", "rbf", "sigmoid"})],
    "C": [Interval(Real, 0, None, closed="neither")],
    "epsilon": [Interval(Real, 0, None, closed="left")],
    "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0, None, closed="neither")],
    "degree": [Interval(Integral, 0, None, closed="left")],
    "coef0": [Interval(Real, None, None, closed="neither")],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, -1, None, closed="left")],
    "standardize": ["boolean"],
}


class _SVMStudent(ClassicalStudent):
    """Base class of the SVM students: joint support vectors and kernel expansion of all outputs."""

    _image_settings = staticmethod(pixel_settings)

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"C": 10.0, "tol": 1e-8}

    def _structure(self) -> dict[str, int]:
        vectors = self.support_vectors_
        size = vectors.size + self.dual_coef_.size + len(self.intercept_)
        return {"support_vectors": len(vectors), "parameters": size + self._calibration_size}

    def _operations(self, X: Any) -> float:
        return 2.0 * (self.support_vectors_.size + self.dual_coef_.size)

    def _fit_values(self, X: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> None:
        X = X.astype(np.float64, copy=False)
        self._mean, self._scale = column_scaling(X, weights, self.standardize)
        Z = (X - self._mean) / self._scale
        # one deviation for all outputs, so that epsilon and C mean the same for each logit
        centre = np.average(values, axis=0, weights=weights)
        spread = np.sqrt(np.average(np.square(values - centre), axis=0, weights=weights).mean())
        spread = spread if spread > 1e-12 * (1 + np.abs(centre).max()) else 1.0
        self.gamma_ = self._gamma(Z, weights)
        duals, intercepts = np.zeros((values.shape[1], len(Z))), np.zeros(values.shape[1])
        self.n_iter_ = np.zeros(values.shape[1], dtype=np.int64)
        for output, column in enumerate(((values - centre) / spread).T):
            machine = SVR(
                kernel=self.kernel,
                C=self.C,
                epsilon=self.epsilon,
                gamma=self.gamma_,
                degree=self.degree,
                coef0=self.coef0,
                tol=self.tol,
                max_iter=self.max_iter,
            ).fit(Z, column, sample_weight=weights)
            duals[output, machine.support_] = machine.dual_coef_[0]
            intercepts[output] = machine.intercept_[0]
            self.n_iter_[output] = machine.n_iter_
        supports = duals.any(axis=0)
        self.support_vectors_ = Z[supports]
        self.dual_coef_ = spread * duals[:, supports]
        self.intercept_ = centre + spread * intercepts

    def _gamma(self, Z: np.ndarray, weights: np.ndarray | None) -> float:
        if self.gamma == "auto":
            return 1 / Z.shape[1]
        if self.gamma == "scale":
            means = np.average(Z, axis=0, weights=weights)
            squares = np.average(np.square(Z - means.mean()), axis=0, weights=weights)
            variance = float(squares.mean())
            return 1 / (Z.shape[1] * variance) if variance > 0 else 1.0
        return float(self.gamma)

    def _values(self, X: np.ndarray) -> np.ndarray:
        Z = (X.astype(np.float64, copy=False) - self._mean) / self._scale
        values = np.tile(self.intercept_, (len(Z), 1))
        if not len(self.support_vectors_):
            return values
        for batch in gen_batches(len(Z), max(1, _KERNEL_ENTRIES // len(self.support_vectors_))):
            kernel = pairwise_kernels(
                Z[batch],
                self.support_vectors_,
                metric=self.kernel,
                filter_params=True,
                gamma=self.gamma_,
                degree=self.degree,
                coef0=self.coef0,
            )
            values[batch] += kernel @ self.dual_coef_.T
        return values

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata = {**self._names_state(), **self._output_state(), "gamma": self.gamma_}
        return metadata, {
            "mean": self._mean,
            "scale": self._scale,
            "support_vectors": self.support_vectors_,
            "dual_coef": self.dual_coef_,
            "intercept": self.intercept_,
            "n_iter": self.n_iter_,
        }

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        gamma = metadata["gamma"]
        if not (isinstance(gamma, float) and 0 < gamma < np.inf):
            raise ValueError(f"gamma must be a finite number > 0, not {gamma!r:.80}")
        n = len(arrays["support_vectors"])
        for name, shape in {
            "support_vectors": (n, n_features),
            "dual_coef": (n_outputs, n),
            "intercept": (n_outputs,),
        }.items():
            if arrays[name].dtype != np.float64 or arrays[name].shape != shape:
                raise ValueError(f"{name} must be float64 of shape {shape}")
        if arrays["n_iter"].dtype != np.int64 or arrays["n_iter"].shape != (n_outputs,):
            raise ValueError(f"n_iter must be int64 of shape ({n_outputs},)")
        self._mean, self._scale = restored_scaling(arrays, n_features)
        self.gamma_, self.n_iter_ = gamma, arrays["n_iter"]
        self.support_vectors_ = arrays["support_vectors"]
        self.dual_coef_, self.intercept_ = arrays["dual_coef"], arrays["intercept"]


class SVMStudentClassifier(_SVMStudent, LogitStudentClassifier):
    r"""Support vector machines, trained on a teacher or on labels.

    One ``SVR`` is fitted per logit: the logarithm of the teacher's probability (clipped at 0.001)
    minus the mean of the row. All logits are divided by their deviation, so that C and epsilon mean
    the same for every teacher. A scale and biases, fitted to the soft cross-entropy on the training
    rows, turn their outputs into logits. Training time grows with the square of the number of rows.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T. A regression on logits scales with T, which therefore matters little (through the
        clipping of probabilities and the calibration). Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    kernel, C, epsilon, gamma, degree, coef0, tol, max_iter
        See :class:`sklearn.svm.SVR`; epsilon in deviations of the logits.
    standardize : bool, default=True
        Whether to scale each column to mean zero and deviation one. False suits columns of one
        kind, such as pixels, or scaled ones.
    transfer : Transfer or None, default=None
        Makes additional rows, labelled by the teacher.
    transfer_copies : int, default=4
        Rows made from each training row.
    random_state : int, RandomState instance or None, default=None
        Seed of `transfer`.

    Attributes
    ----------
    support_vectors_ : ndarray of shape (n_support_vectors, n_features)
        Support vectors of all outputs, standardised.
    dual_coef_ : ndarray of shape (n_outputs, n_support_vectors)
        Coefficients. Two classes have one output, that of the second.
    intercept_ : ndarray of shape (n_outputs,)
    gamma_ : float
    n_iter_ : ndarray of shape (n_outputs,)
        Number of steps of the solver.
    scale_ : float
    bias_ : ndarray of shape (n_classes,)
        Logits at `temperature_` are ``scale_ * outputs + bias_``.
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import SVMStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = SVMStudentClassifier().fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LogitStudentClassifier._parameter_constraints,
        **_SHARED,
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        kernel: str = "rbf",
        C: float = 1.0,
        epsilon: float = 0.1,
        gamma: str | float = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        tol: float = 1e-3,
        max_iter: int = -1,
        standardize: bool = True,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.kernel = kernel
        self.C = C
        self.epsilon = epsilon
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.tol = tol
        self.max_iter = max_iter
        self.standardize = standardize
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state


class SVMStudentRegressor(_SVMStudent, ClassicalStudentRegressor):
    """Support vector machines, trained on a regressor or on values.

    One ``SVR`` is fitted per output, on values divided by their deviation.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    kernel, C, epsilon, gamma, degree, coef0, tol, max_iter
        See :class:`sklearn.svm.SVR`; epsilon in deviations of the values.
    standardize, transfer, transfer_copies, random_state
        See :class:`SVMStudentClassifier`.

    Attributes
    ----------
    support_vectors_ : ndarray of shape (n_support_vectors, n_features)
        Support vectors of all outputs, standardised.
    dual_coef_ : ndarray of shape (n_outputs, n_support_vectors)
    intercept_ : ndarray of shape (n_outputs,)
    gamma_ : float
    n_iter_ : ndarray of shape (n_outputs,)
        Number of steps of the solver.
    n_outputs_, n_features_in_ : int
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_SHARED,
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        kernel: str = "rbf",
        C: float = 1.0,
        epsilon: float = 0.1,
        gamma: str | float = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        tol: float = 1e-3,
        max_iter: int = -1,
        standardize: bool = True,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.kernel = kernel
        self.C = C
        self.epsilon = epsilon
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.tol = tol
        self.max_iter = max_iter
        self.standardize = standardize
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        self._fit_values(X, targets, weights)
