"""Forests of hard trees: scikit-learn's multi-output regression on probabilities."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from numpy.random import RandomState
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from soft_students.sklearn_private import Interval
from soft_students.students.classical.base import (
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.trees import GROWTH, TreeClassifier, TreeRegressor
from soft_students.transfer import Transfer

_FOREST: dict[str, list[Any]] = {
    **GROWTH,
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
}


class _ForestClassifier(TreeClassifier):
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **_FOREST,
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        n_estimators: int = 100,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_leaf_nodes: int | None = None,
        max_features: int | float | str | None = "sqrt",
        ccp_alpha: float = 0.0,
        n_jobs: int | None = None,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_leaf_nodes = max_leaf_nodes
        self.max_features = max_features
        self.ccp_alpha = ccp_alpha
        self.n_jobs = n_jobs
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state


class _ForestRegressor(TreeRegressor):
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_FOREST,
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        n_estimators: int = 100,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_leaf_nodes: int | None = None,
        max_features: int | float | str | None = 1.0,
        ccp_alpha: float = 0.0,
        n_jobs: int | None = None,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_leaf_nodes = max_leaf_nodes
        self.max_features = max_features
        self.ccp_alpha = ccp_alpha
        self.n_jobs = n_jobs
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state


class RandomForestStudentClassifier(_ForestClassifier):
    """A random forest, trained on a teacher or on labels.

    Parameters
    ----------
    temperature, hard_weight, transfer, transfer_copies
        See :class:`DecisionTreeStudentClassifier`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        See :class:`sklearn.ensemble.RandomForestClassifier`.

    Attributes
    ----------
    estimator_ : RandomForestRegressor
        Forest whose outputs are the classes' probabilities at `temperature_`.
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import RandomForestStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = RandomForestStudentClassifier(n_estimators=20, random_state=0).fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _library = RandomForestRegressor


class RandomForestStudentRegressor(_ForestRegressor):
    """A random forest, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight, transfer, transfer_copies
        See :class:`DecisionTreeStudentRegressor`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        See :class:`sklearn.ensemble.RandomForestRegressor`.
    """

    _library = RandomForestRegressor


class ExtraTreesStudentClassifier(_ForestClassifier):
    """Extremely randomised trees, trained on a teacher or on labels.

    Parameters
    ----------
    temperature, hard_weight, transfer, transfer_copies
        See :class:`DecisionTreeStudentClassifier`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        See :class:`sklearn.ensemble.ExtraTreesClassifier`.

    Attributes
    ----------
    estimator_ : ExtraTreesRegressor
        Trees whose outputs are the classes' probabilities at `temperature_`.
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import ExtraTreesStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = ExtraTreesStudentClassifier(n_estimators=20, random_state=0).fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _library = ExtraTreesRegressor


class ExtraTreesStudentRegressor(_ForestRegressor):
    """Extremely randomised trees, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight, transfer, transfer_copies
        See :class:`DecisionTreeStudentRegressor`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        See :class:`sklearn.ensemble.ExtraTreesRegressor`.
    """

    _library = ExtraTreesRegressor
