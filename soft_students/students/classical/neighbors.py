"""Nearest neighbours with soft targets instead of labels."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors

from soft_students.sklearn_private import Interval, StrOptions
from soft_students.students.classical.base import (
    ClassicalStudent,
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.scaling import (
    column_scaling,
    pixel_settings,
    restored_scaling,
)
from soft_students.targets import sharpen
from soft_students.transfer import Transfer

_SHARED: dict[str, list[Any]] = {
    "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    "weights": [StrOptions({"uniform", "distance"})],
    "algorithm": [StrOptions({"auto", "ball_tree", "kd_tree", "brute"})],
    "leaf_size": [Interval(Integral, 1, None, closed="left")],
    "p": [Interval(Real, 0, None, closed="neither")],
    "metric": [StrOptions({"minkowski", "euclidean", "manhattan", "chebyshev", "cosine"})],
    "standardize": ["boolean"],
    "n_jobs": [Integral, None],
}


class _NeighborsStudent(ClassicalStudent):
    """Base class of the nearest-neighbour students: rows, their index, and their targets."""

    _image_settings = staticmethod(pixel_settings)
    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        (
            "check_sample_weight_equivalence_on_dense_data",
            "check_weight_two_is_row_twice",
        ),
        "a neighbour is one of k, whatever its weight",
    )

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"n_neighbors": 3}

    def _structure(self) -> dict[str, int]:
        size = self.rows_.size + self.targets_.size + self.sample_weight_.size
        return {"rows": len(self.rows_), "parameters": size}

    def _operations(self, X: Any) -> float:
        return 2.0 * (self.rows_.size + self.n_neighbors * self.targets_.shape[1])

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        X = X.astype(np.float64, copy=False)
        self._mean, self._scale = column_scaling(X, weights, self.standardize)
        shares = np.ones(len(X)) if weights is None else weights
        self._keep((X - self._mean) / self._scale, targets, shares)

    def _keep(self, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        if len(rows) < self.n_neighbors:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs as many rows of positive weight, got "
                f"n_samples={len(rows)}."
            )
        self.index_ = NearestNeighbors(
            n_neighbors=int(self.n_neighbors),  # True is an integer to Python, not to scikit-learn
            algorithm=self.algorithm,
            leaf_size=self.leaf_size,
            p=self.p,
            metric=self.metric,
            n_jobs=self.n_jobs,
        ).fit(rows)
        self.rows_, self.targets_, self.sample_weight_ = rows, targets, weights

    def _values(self, X: np.ndarray) -> np.ndarray:
        Z = (X.astype(np.float64, copy=False) - self._mean) / self._scale
        distances, neighbors = self.index_.kneighbors(Z)
        shares = self.sample_weight_[neighbors]
        if self.weights == "distance":
            exact = distances == 0
            # identical rows, if any, exclude all others, as in scikit-learn
            nearness = np.where(exact, 1.0, 1 / np.where(exact, 1.0, distances))
            shares = shares * np.where(exact.any(axis=1, keepdims=True), exact, nearness)
        shares = shares / shares.sum(axis=1, keepdims=True)
        values = np.zeros((len(Z), self.targets_.shape[1]))
        for place in range(self.n_neighbors):
            values += shares[:, place, None] * self.targets_[neighbors[:, place]]
        return values

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {**self._names_state(), **self._output_state()}, {
            "mean": self._mean,
            "scale": self._scale,
            "rows": self.rows_,
            "targets": self.targets_,
            "sample_weight": self.sample_weight_,
        }

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        n = len(arrays["rows"])
        for name, shape in {
            "rows": (n, n_features),
            "targets": (n, n_outputs),
            "sample_weight": (n,),
        }.items():
            if arrays[name].dtype != np.float64 or arrays[name].shape != shape:
                raise ValueError(f"{name} must be float64 of shape {shape}")
        if not (arrays["sample_weight"] > 0).all():
            raise ValueError("sample weights must be positive")
        self._mean, self._scale = restored_scaling(arrays, n_features)
        self._keep(arrays["rows"], arrays["targets"], arrays["sample_weight"])


class KNeighborsStudentClassifier(_NeighborsStudent, ClassicalStudentClassifier):
    """The mean of the nearest neighbours' soft targets, trained on a teacher or on labels.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T of the averaged soft targets; `predict_proba` undoes it. Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    n_neighbors, weights, algorithm, leaf_size, p, metric, n_jobs
        See :class:`sklearn.neighbors.KNeighborsClassifier`. A neighbour's weight is multiplied by
        its sample weight in `fit`.
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
    index_ : sklearn.neighbors.NearestNeighbors
    rows_ : ndarray of shape (n_rows, n_features)
        The training rows, standardised.
    targets_ : ndarray of shape (n_rows, n_classes)
        Soft targets at `temperature_`.
    sample_weight_ : ndarray of shape (n_rows,)
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import KNeighborsStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = KNeighborsStudentClassifier().fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **_SHARED,
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        n_neighbors: int = 5,
        weights: str = "uniform",
        algorithm: str = "auto",
        leaf_size: int = 30,
        p: float = 2,
        metric: str = "minkowski",
        standardize: bool = True,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.p = p
        self.metric = metric
        self.standardize = standardize
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state
        self.n_jobs = n_jobs

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
        return sharpen(self._values(self._rows(X, reset=False)), self.temperature_)

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        super()._restore_bundle(metadata, arrays)
        if self.targets_.min() < 0 or not np.allclose(self.targets_.sum(axis=1), 1):
            raise ValueError("targets must be probabilities")


class KNeighborsStudentRegressor(_NeighborsStudent, ClassicalStudentRegressor):
    """The mean of the nearest neighbours' values, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    n_neighbors, weights, algorithm, leaf_size, p, metric, n_jobs
        See :class:`sklearn.neighbors.KNeighborsRegressor`. A neighbour's weight is multiplied by
        its sample weight in `fit`.
    standardize, transfer, transfer_copies, random_state
        See :class:`KNeighborsStudentClassifier`.

    Attributes
    ----------
    index_ : sklearn.neighbors.NearestNeighbors
    rows_ : ndarray of shape (n_rows, n_features)
        The training rows, standardised.
    targets_ : ndarray of shape (n_rows, n_outputs)
    sample_weight_ : ndarray of shape (n_rows,)
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
        n_neighbors: int = 5,
        weights: str = "uniform",
        algorithm: str = "auto",
        leaf_size: int = 30,
        p: float = 2,
        metric: str = "minkowski",
        standardize: bool = True,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.p = p
        self.metric = metric
        self.standardize = standardize
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state
        self.n_jobs = n_jobs
