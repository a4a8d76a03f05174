"""Forests of hard trees: scikit-learn's multi-output regression on probabilities."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from soft_students.sklearn_private import Interval
from soft_students.students.classical.base import (
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.path_differences import path_differences
from soft_students.students.classical.trees import (
    GROWTH,
    TreeClassifier,
    TreeRegressor,
    TreeStudent,
)
from soft_students.students.explained import Contributions
from soft_students.transfer import Transfer

_FOREST: dict[str, list[Any]] = {
    **GROWTH,
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
}
_BOOTSTRAP = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_weight_zero_is_no_row",
        "check_weight_two_is_row_twice",
    ),
    "a bootstrap draws rows, whatever their weights",
)


class _Forest(TreeStudent):
    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"n_estimators": 10}

    def _contributions(self, rows: np.ndarray) -> Contributions:
        """Return the changes of the output along the row's paths, by feature: the trees' mean."""
        trees = [estimator.tree_ for estimator in self.estimator_.estimators_]
        n_outputs, n_features = trees[0].n_outputs, rows.shape[1]
        parts, base = np.zeros((n_outputs, n_features)), np.zeros(n_outputs)
        as_split = rows.astype(np.float32)  # in which scikit-learn compares
        for tree in trees:
            path = np.sort(tree.decision_path(as_split).indices)  # children follow their parents
            values = tree.value[path, :, 0]
            parts += path_differences(tree.feature[path[:-1]], values, n_features)
            base += values[0]
        return Contributions(
            parts / len(trees),
            base / len(trees),
            self.estimator_.predict(rows).reshape(-1),
            "mean of the targets",
            of_probabilities=hasattr(self, "classes_"),
        )


class _ForestClassifier(_Forest, TreeClassifier):
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


class _ForestRegressor(_Forest, TreeRegressor):
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
    _expected_failed_checks: ClassVar[dict[str, str]] = _BOOTSTRAP


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
    _expected_failed_checks: ClassVar[dict[str, str]] = _BOOTSTRAP


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
