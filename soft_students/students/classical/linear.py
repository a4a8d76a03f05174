"""Linear students: softmax regression on soft targets, ridge regression on values."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import Ridge

from soft_students.sklearn_private import Interval
from soft_students.students.classical.base import (
    ClassicalStudent,
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.explained import Contributions, Explained
from soft_students.transfer import Transfer


class _LinearStudent(Explained, ClassicalStudent):
    """What both share: one coefficient for each output and feature."""

    coef_: np.ndarray
    intercept_: np.ndarray
    feature_mean_: np.ndarray | None

    def _structure(self) -> dict[str, int]:
        return {"parameters": self.coef_.size + self.intercept_.size}

    def _operations(self, X: Any) -> float:
        return 2.0 * self.coef_.size

    def _contributions(self, rows: np.ndarray) -> Contributions:
        """Return each feature's coefficient times its distance from the mean training row."""
        row, mean = rows[0].astype(np.float64), self.feature_mean_
        coef, intercept = self.coef_, self.intercept_
        start = np.zeros(len(row)) if mean is None else mean
        outputs = coef @ row + intercept
        if len(getattr(self, "classes_", ())) == 2:
            coef, intercept, outputs = (a[1:] - a[:1] for a in (coef, intercept, outputs))
        # files written before students kept their mean row lack it
        baseline = "mean of the training rows" if mean is not None else "row of zeros"
        return Contributions(coef * (row - start), coef @ start + intercept, outputs, baseline)


class LogisticStudentClassifier(_LinearStudent, ClassicalStudentClassifier):
    r"""Softmax regression on soft targets.

    L-BFGS minimises :math:`\rho\|W\|_1 + \frac{1-\rho}2\|W\|^2 + C\,T^2 \sum_x w_x H(q_x,
    softmax(z_x / T))` with :math:`z_x = W x + b`, the teacher's distribution q at temperature T,
    the cross-entropy H and `l1_ratio` ρ. On labels (q one-hot, T = 1) this is scikit-learn's
    multinomial ``LogisticRegression``.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T. `predict_proba` is at temperature one. Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    C : float, default=1.0
        Inverse strength of the penalty; infinity means no penalty.
    l1_ratio : float, default=0.0
        Share of the L1 penalty. 0 is L2 only; 1 is L1 only, which sets the coefficients of features
        with little information to exactly zero.
    fit_intercept : bool, default=True
    tol : float, default=1e-6
        L-BFGS stops if no derivative of the mean loss exceeds this.
    max_iter : int, default=1000
    transfer : Transfer or None, default=None
        Makes additional rows, labelled by the teacher.
    transfer_copies : int, default=4
        Rows made from each training row.
    random_state : int, RandomState instance or None, default=None
        Seed of `transfer`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    feature_mean_ : ndarray of shape (n_features,) or None
        Mean of the training rows, for `explain`; None in students from files that lack it.
    n_iter_ : int
    temperature_, hard_weight_ : float
    n_features_in_ : int

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, section 2, for the factor T².

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from soft_students.students import LogisticStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = LogisticStudentClassifier().fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 1000,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        X = X.astype(np.float64, copy=False)
        weights = np.ones(len(X)) if weights is None else weights
        n_classes, n_features = targets.shape[1], X.shape[1]
        T, total = self.temperature_, weights.sum()
        # The optimiser uses features of deviation one and needs far fewer steps. The penalty
        # applies to the original coefficients.
        average = np.average(X, axis=0, weights=weights)
        mean = average if self.fit_intercept else np.zeros(n_features)
        self.feature_mean_ = average
        scale = np.sqrt(np.average(np.square(X - mean), axis=0, weights=weights))
        scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1
        Z = (X - mean) / scale
        strength = 1 / (self.C * total)  # of the penalty of the mean loss
        decay = (1 - self.l1_ratio) * strength / np.square(scale)
        weighted = targets * (weights / total)[:, None]
        mass = weighted.sum(axis=1, keepdims=True)

        def mean_loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            parameters = flat.reshape(n_classes, n_features + 1)
            coef = parameters[:, :-1]
            log_p = log_softmax((Z @ coef.T + parameters[:, -1]) / T, axis=1)
            loss = 0.5 * (decay * np.square(coef)).sum() - T**2 * (weighted * log_p).sum()
            error = T * (mass * np.exp(log_p) - weighted)
            gradient = np.empty_like(parameters)
            gradient[:, :-1] = decay * coef + error.T @ Z
            gradient[:, -1] = error.sum(axis=0) if self.fit_intercept else 0
            return loss, gradient.ravel()

        absolute = np.append(self.l1_ratio * strength / scale, 0)  # no penalty on the intercept
        flat, self.n_iter_ = _minimum(
            mean_loss,
            np.tile(absolute, n_classes),
            {"maxiter": self.max_iter, "gtol": self.tol, "ftol": 64 * np.finfo(float).eps},
        )
        parameters = flat.reshape(n_classes, n_features + 1)
        self.coef_ = parameters[:, :-1] / scale
        self.intercept_ = parameters[:, -1] - self.coef_ @ mean

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Logits; for two classes, the second's minus the first's.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def _logits(self, X: ArrayLike) -> np.ndarray:
        return self._rows(X, reset=False) @ self.coef_.T + self.intercept_

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
        return softmax(self._logits(X), axis=1)

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata = {**self._names_state(), **self._output_state(), "n_iter": self.n_iter_}
        return metadata, _linear_arrays(self)

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_classes = self._restore_names(metadata), self._restore_outputs(metadata)
        self.coef_, self.intercept_ = _take_linear(arrays, n_classes, n_features)
        self.feature_mean_ = _take_mean(arrays, n_features)
        self.n_iter_ = int(metadata["n_iter"])


def _minimum(
    smooth: Callable[[np.ndarray], tuple[float, np.ndarray]],
    absolute: np.ndarray,
    options: dict[str, Any],
) -> tuple[np.ndarray, int]:
    """Minimise a smooth function plus ``absolute @ abs(x)``; return x and the iterations."""
    n = len(absolute)
    if not absolute.any():
        found = minimize(smooth, np.zeros(n), jac=True, method="L-BFGS-B", options=options)
        return found.x, int(found.nit)

    # x = u - v with u, v >= 0, where the penalty is linear; without penalty, v = 0 and u is free
    def split(halves: np.ndarray) -> tuple[float, np.ndarray]:
        u, v = halves[:n], halves[n:]
        loss, gradient = smooth(u - v)
        return loss + absolute @ (u + v), np.append(absolute + gradient, absolute - gradient)

    free = absolute == 0
    bounds = Bounds(
        np.append(np.where(free, -np.inf, 0), np.zeros(n)),
        np.append(np.full(n, np.inf), np.where(free, 0, np.inf)),
    )
    start = np.zeros(2 * n)
    found = minimize(split, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return found.x[:n] - found.x[n:], int(found.nit)


class RidgeStudentRegressor(_LinearStudent, ClassicalStudentRegressor):
    """Ridge regression, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    alpha, fit_intercept
        See :class:`sklearn.linear_model.Ridge`.
    transfer, transfer_copies, random_state
        See :class:`LogisticStudentClassifier`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_outputs, n_features)
    intercept_ : ndarray of shape (n_outputs,)
    feature_mean_ : ndarray of shape (n_features,) or None
        Mean of the training rows, for `explain`; None in students from files that lack it.
    n_outputs_, n_features_in_ : int
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        self.feature_mean_ = np.average(X, axis=0, weights=weights).astype(np.float64)
        ridge = Ridge(alpha=self.alpha, fit_intercept=self.fit_intercept)
        ridge.fit(X, targets, sample_weight=weights)
        self.coef_ = np.atleast_2d(ridge.coef_)
        self.intercept_ = np.broadcast_to(ridge.intercept_, len(self.coef_)).copy()

    def _values(self, X: np.ndarray) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata = {**self._names_state(), **self._output_state()}
        return metadata, _linear_arrays(self)

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        self.coef_, self.intercept_ = _take_linear(arrays, n_outputs, n_features)
        self.feature_mean_ = _take_mean(arrays, n_features)


def _linear_arrays(
    student: LogisticStudentClassifier | RidgeStudentRegressor,
) -> dict[str, np.ndarray]:
    arrays = {"coef": student.coef_, "intercept": student.intercept_}
    if student.feature_mean_ is not None:
        arrays["feature_mean"] = student.feature_mean_
    return arrays


def _take_mean(arrays: dict[str, np.ndarray], n_features: int) -> np.ndarray | None:
    mean = arrays.get("feature_mean")  # files of earlier versions lack it
    if mean is not None and (mean.dtype.kind != "f" or mean.shape != (n_features,)):
        raise ValueError(f"feature_mean must be floating, of shape {(n_features,)}")
    return mean


def _take_linear(
    arrays: dict[str, np.ndarray], n_outputs: int, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    coef, intercept = arrays.get("coef"), arrays.get("intercept")
    if coef is None or intercept is None or coef.dtype.kind != "f" or intercept.dtype.kind != "f":
        raise ValueError("coef and intercept must be floating")
    if coef.shape != (n_outputs, n_features) or intercept.shape != (n_outputs,):
        raise ValueError(
            f"coef and intercept must be of shape {(n_outputs, n_features)} and {(n_outputs,)}, "
            f"not {coef.shape} and {intercept.shape}"
        )
    return coef, intercept
