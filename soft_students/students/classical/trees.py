"""Hard trees and forests, by scikit-learn's multi-output regression on probabilities.

On one-hot targets the squared error of a split is its Gini impurity, so a student of labels is
scikit-learn's own classifier; on soft targets the same holds for rows that each count in part for
every class.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor, export_text
from sklearn.utils._param_validation import Interval, StrOptions

from soft_students.students.classical.base import (
    ClassicalStudent,
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.tree_arrays import restore_tree, tree_arrays
from soft_students.targets import sharpen
from soft_students.transfer import Transfer

_GROWTH: dict[str, list[Any]] = {
    "max_depth": [Interval(Integral, 1, None, closed="left"), None],
    "min_samples_split": [Interval(Integral, 2, None, closed="left")],
    "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
    "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
    "max_features": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, 1, closed="right"),
        StrOptions({"sqrt", "log2"}),
        None,
    ],
    "ccp_alpha": [Interval(Real, 0, None, closed="left")],
}
_FOREST: dict[str, list[Any]] = {
    **_GROWTH,
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
}


class _TreeStudent(ClassicalStudent):
    """What one tree and forests share: `estimator_`, learnt and kept."""

    #: The scikit-learn regressor that learns; it takes all parameters but a student's own.
    _library: ClassVar[type]

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        estimator = self._make()
        one = targets.shape[1] == 1
        estimator.fit(X, targets[:, 0] if one else targets, sample_weight=weights)
        self.estimator_ = estimator

    def _make(self) -> Any:
        known = self._library().get_params(deep=False)
        return self._library(
            **{name: value for name, value in self.get_params(deep=False).items() if name in known}
        )

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        trees = getattr(self.estimator_, "estimators_", [self.estimator_])
        metadata = {**self._names_state(), **self._output_state(), "n_trees": len(trees)}
        arrays = {
            f"{name}_{i}": array
            for i, tree in enumerate(trees)
            for name, array in tree_arrays(tree).items()
        }
        return metadata, arrays

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_trees = metadata["n_trees"]
        if type(n_trees) is not int or n_trees < 1:
            raise ValueError("n_trees must be a positive integer")
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        trees = [
            restore_tree(
                {name[: -len(f"_{i}")]: a for name, a in arrays.items() if name.endswith(f"_{i}")},
                n_features,
                n_outputs,
            )
            for i in range(n_trees)
        ]
        estimator = self._make()
        if isinstance(estimator, DecisionTreeRegressor):
            (estimator,) = trees
        else:
            estimator.estimators_ = trees
            estimator.estimator_ = DecisionTreeRegressor()
            estimator.n_outputs_, estimator.n_features_in_ = n_outputs, n_features
        self.estimator_ = estimator


class _TreeClassifier(_TreeStudent, ClassicalStudentClassifier):
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
        rows = self._rows(X, reset=False)
        means = self.estimator_.predict(rows).reshape(len(rows), len(self.classes_))
        means = means.clip(0)
        return sharpen(means / means.sum(axis=1, keepdims=True), self.temperature_)


class _TreeRegressor(_TreeStudent, ClassicalStudentRegressor):
    def _values(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict(X)


class _OneTree(_TreeStudent):
    _library = DecisionTreeRegressor

    def export_text(self, *, max_depth: int = 10, decimals: int = 2) -> str:
        """Return the rules of the tree as text.

        Parameters
        ----------
        max_depth : int, default=10
            Levels shown.
        decimals : int, default=2

        Returns
        -------
        str
            Each leaf with its values: of classes their probabilities, in the order of `classes_`
            and at the temperature of training.
        """
        names = getattr(self, "feature_names_in_", None)
        return export_text(
            self.estimator_,
            feature_names=None if names is None else list(names),
            max_depth=max_depth,
            decimals=decimals,
        )


class DecisionTreeStudentClassifier(_OneTree, _TreeClassifier):
    """One hard tree, taught by a network or by labels: every prediction is a rule.

    Parameters
    ----------
    temperature : float, default=1.0
        T of the teacher's soft targets; `predict_proba` undoes it. Ignored on labels alone.
    hard_weight : float, default=0.0
        Weight of the true labels beside the teacher, in [0, 1].
    max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, ccp_alpha
        As in :class:`sklearn.tree.DecisionTreeRegressor`.
    transfer : Transfer or None, default=None
        Makes further rows, which the teacher labels.
    transfer_copies : int, default=4
        Rows made from each training row.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    estimator_ : DecisionTreeRegressor
        The tree; its outputs are the classes' probabilities at `temperature_`.
    classes_ : ndarray of shape (n_classes,)
    temperature_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X had string column names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import DecisionTreeStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    >>> student.export_text().count("value:") <= 2**3
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **_GROWTH,
    }

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        hard_weight: float = 0.0,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_leaf_nodes: int | None = None,
        max_features: int | float | str | None = None,
        ccp_alpha: float = 0.0,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_leaf_nodes = max_leaf_nodes
        self.max_features = max_features
        self.ccp_alpha = ccp_alpha
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state


class DecisionTreeStudentRegressor(_OneTree, _TreeRegressor):
    """One hard tree, taught by a regressor or by values.

    Parameters
    ----------
    hard_weight : float, default=0.0
        Weight of the true values beside the teacher's, in [0, 1].
    max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, ccp_alpha, \
transfer, transfer_copies, random_state
        As in :class:`DecisionTreeStudentClassifier`.

    Attributes
    ----------
    estimator_ : DecisionTreeRegressor
    n_outputs_, n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X had string column names.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_GROWTH,
    }

    def __init__(
        self,
        *,
        hard_weight: float = 0.0,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_leaf_nodes: int | None = None,
        max_features: int | float | str | None = None,
        ccp_alpha: float = 0.0,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_leaf_nodes = max_leaf_nodes
        self.max_features = max_features
        self.ccp_alpha = ccp_alpha
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state


class _ForestClassifier(_TreeClassifier):
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **_FOREST,
    }

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        hard_weight: float = 0.0,
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


class _ForestRegressor(_TreeRegressor):
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_FOREST,
    }

    def __init__(
        self,
        *,
        hard_weight: float = 0.0,
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
    """A random forest, taught by a network or by labels.

    Parameters
    ----------
    temperature, hard_weight, transfer, transfer_copies
        As in :class:`DecisionTreeStudentClassifier`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        As in :class:`sklearn.ensemble.RandomForestClassifier`.

    Attributes
    ----------
    estimator_ : RandomForestRegressor
        Its outputs are the classes' probabilities at `temperature_`.
    classes_ : ndarray of shape (n_classes,)
    temperature_ : float
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
    """A random forest, taught by a regressor or by values.

    Parameters
    ----------
    hard_weight, transfer, transfer_copies
        As in :class:`DecisionTreeStudentRegressor`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        As in :class:`sklearn.ensemble.RandomForestRegressor`.
    """

    _library = RandomForestRegressor


class ExtraTreesStudentClassifier(_ForestClassifier):
    """Extremely randomised trees, taught by a network or by labels.

    Parameters
    ----------
    temperature, hard_weight, transfer, transfer_copies
        As in :class:`DecisionTreeStudentClassifier`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        As in :class:`sklearn.ensemble.ExtraTreesClassifier`.

    Attributes
    ----------
    estimator_ : ExtraTreesRegressor
        Its outputs are the classes' probabilities at `temperature_`.
    classes_ : ndarray of shape (n_classes,)
    temperature_ : float
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
    """Extremely randomised trees, taught by a regressor or by values.

    Parameters
    ----------
    hard_weight, transfer, transfer_copies
        As in :class:`DecisionTreeStudentRegressor`.
    n_estimators, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
ccp_alpha, n_jobs, random_state
        As in :class:`sklearn.ensemble.ExtraTreesRegressor`.
    """

    _library = ExtraTreesRegressor
