"""Hard trees: scikit-learn's multi-output regression on probabilities.

On one-hot targets the squared error of a split is its Gini impurity, so a student trained on labels
equals scikit-learn's classifier. Soft targets generalise this to rows that count partly for every
class.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from soft_students.sklearn_private import Interval, StrOptions
from soft_students.students.classical.base import (
    ClassicalStudent,
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.pruning import best_alpha
from soft_students.students.classical.tree_arrays import forest_arrays, restore_tree, split_forest
from soft_students.students.classical.tree_counts import operations_of_trees, structure_of_trees
from soft_students.students.classical.tree_text import (
    shown_value,
    siblings,
    tree_rules,
    tree_text,
)
from soft_students.students.explained import Explained
from soft_students.targets import sharpen
from soft_students.transfer import Transfer

GROWTH: dict[str, list[Any]] = {
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
_PRUNED: dict[str, list[Any]] = {
    **GROWTH,
    "ccp_alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
}
#: Of the variance of soft targets, what a leaf must add to a tree that nothing else limits: the
#: largest of the shares in benchmarks/tree_size.py whose trees lose next to nothing.
_LEAST_GAIN = 2e-4
_CLASSES_SHOWN = 3  # at a leaf, in text
_DECIMALS = range(2, 7)  # of probabilities in text: the first that tell two leaves apart


@cache
def _allows_nan(library: type) -> bool:
    return get_tags(library()).input_tags.allow_nan


class TreeStudent(Explained, ClassicalStudent):
    """Base class of single trees and forests, fitted as `estimator_`."""

    #: The scikit-learn regressor to fit, with the parameters that it shares with the student.
    _library: ClassVar[type]

    @property
    def _takes_missing(self) -> bool:  # type: ignore[override]
        return _allows_nan(self._library)

    def _structure(self) -> dict[str, int]:
        return structure_of_trees(self.estimator_)

    def _operations(self, X: Any) -> float:
        return operations_of_trees(self.estimator_, self._rows(X, reset=False))

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

    @property
    def feature_importances_(self) -> np.ndarray:
        """Importance of each feature, of shape (n_features,): see scikit-learn's estimators."""
        check_is_fitted(self)
        return self.estimator_.feature_importances_

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        trees = getattr(self.estimator_, "estimators_", [self.estimator_])
        metadata = {**self._names_state(), **self._output_state(), "n_trees": len(trees)}
        arrays = forest_arrays(trees)
        return metadata, arrays

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_trees = metadata["n_trees"]
        if type(n_trees) is not int or n_trees < 1:
            raise ValueError("n_trees must be a positive integer")
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        trees = [
            restore_tree(tree, n_features, n_outputs) for tree in split_forest(arrays, n_trees)
        ]
        estimator = self._make()
        if isinstance(estimator, DecisionTreeRegressor):
            (estimator,) = trees
        else:
            estimator.estimators_, estimator.n_estimators = trees, n_trees
            estimator.estimator_ = DecisionTreeRegressor()
            estimator.n_outputs_, estimator.n_features_in_ = n_outputs, n_features
        self.estimator_ = estimator


class TreeClassifier(TreeStudent, ClassicalStudentClassifier):
    """Trees whose outputs are the classes' probabilities at `temperature_`."""

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
        return self._at_temperature_one(self.estimator_.predict(rows))

    def _at_temperature_one(self, means: np.ndarray) -> np.ndarray:
        means = means.reshape(-1, len(self.classes_)).clip(0)
        return sharpen(means / means.sum(axis=1, keepdims=True), self.temperature_)


class TreeRegressor(TreeStudent, ClassicalStudentRegressor):
    """Trees whose outputs are values."""

    def _values(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict(X)


class _OneTree(TreeStudent):
    _library = DecisionTreeRegressor

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"max_depth": 4}

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        alpha = self.ccp_alpha
        tree = self._make()
        if alpha == "auto":
            alpha = self._alpha_of_held_out_rows(X, targets, weights)
        elif alpha is None:
            alpha = self._alpha_of_soft_targets(targets, weights)
            most = round(1 / _LEAST_GAIN) + 1  # leaves that pruning can leave
            if alpha and len(X) > most:  # to prune takes the square of the leaves' number
                tree.set_params(max_leaf_nodes=most)
        tree.set_params(ccp_alpha=alpha)
        tree.fit(X, targets[:, 0] if targets.shape[1] == 1 else targets, sample_weight=weights)
        self.estimator_, self.ccp_alpha_ = tree, float(alpha)

    def _alpha_of_held_out_rows(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None
    ) -> float:
        X, X_val, targets, targets_val, weights, weights_val = train_test_split(
            X,
            targets,
            np.ones(len(X)) if weights is None else weights,
            test_size=self.validation_fraction,
            random_state=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
        )
        grown = self._make().set_params(ccp_alpha=0.0).fit(X, targets, sample_weight=weights)
        return best_alpha(
            grown, X_val, targets_val, weights_val, distributions=hasattr(self, "classes_")
        )

    def _alpha_of_soft_targets(self, targets: np.ndarray, weights: np.ndarray | None) -> float:
        own, unlimited = self.get_params(deep=False), type(self)().get_params(deep=False)
        limits = ("max_depth", "max_leaf_nodes", "min_samples_split", "min_samples_leaf")
        one_hot = np.abs(targets - targets.round()).max() < 1e-12  # up to the floor of a logarithm
        if one_hot or any(own[name] != unlimited[name] for name in limits):
            return 0.0
        mean = np.average(targets, axis=0, weights=weights)
        variance = np.average(np.square(targets - mean), axis=0, weights=weights).mean()
        return float(_LEAST_GAIN * variance)

    @abstractmethod
    def _describe(self, decimals: int | None) -> Callable[[int], str]:
        """Return a function from the number of a node to a text of its prediction."""

    def export_text(self, *, max_depth: int = 10, decimals: int | None = None) -> str:
        """Return the tree as text.

        Parameters
        ----------
        max_depth : int, default=10
            Number of levels to show.
        decimals : int, default=None
            Decimals of all numbers. None: enough digits to distinguish the thresholds of a feature,
            and the predictions of two leaves of one split.

        Returns
        -------
        str
            Each leaf with its prediction: the most probable classes with their probabilities at
            temperature one, or values.
        """
        check_is_fitted(self)
        return tree_text(
            self.estimator_.tree_,
            self._names(),
            self._describe(decimals),
            max_depth=max_depth,
            decimals=decimals,
        )

    def rules(self, *, decimals: int | None = None) -> list[str]:
        """Return one rule per leaf.

        Parameters
        ----------
        decimals : int, default=None
            As in `export_text`.

        Returns
        -------
        list of str
            IF conditions THEN prediction, with the leaf's share of the (weighted) training rows in
            brackets; the largest first.
        """
        check_is_fitted(self)
        return tree_rules(
            self.estimator_.tree_, self._names(), self._describe(decimals), decimals=decimals
        )

    def _names(self) -> list[str]:
        numbered = [f"feature_{i}" for i in range(self.n_features_in_)]
        return list(getattr(self, "feature_names_in_", numbered))

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata, arrays = super()._bundle_state()
        return {**metadata, "ccp_alpha": self.ccp_alpha_}, arrays

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        super()._restore_bundle(metadata, arrays)
        self.ccp_alpha_ = float(metadata["ccp_alpha"])


class DecisionTreeStudentClassifier(_OneTree, TreeClassifier):
    """One hard tree, taught by a network or by labels: every prediction is a rule.

    Missing values (NaN) go to the side of a split where they fitted best in training, or to the
    side of more training rows where none was missing; rules and text do not show which.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T of the teacher's soft targets; `predict_proba` undoes it. Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features
        See :class:`sklearn.tree.DecisionTreeRegressor`.
    ccp_alpha : float, "auto" or None, default=None
        Strength of minimal cost-complexity pruning. None: 2e-4 of the variance of soft targets; 0
        on labels, or if another parameter limits the tree. "auto" takes the alpha whose pruned tree
        has the lowest soft cross-entropy (for values, squared error) on held-out rows, and grows
        the tree again on all rows.
    validation_fraction : float, default=0.1
        Share of the rows (including transferred ones) to hold out for ``ccp_alpha="auto"``.
    transfer : Transfer or None, default=None
        Makes additional rows, labelled by the teacher.
    transfer_copies : int, default=4
        Rows made from each training row.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    estimator_ : DecisionTreeRegressor
        The tree; its outputs are the classes' probabilities at `temperature_`.
    ccp_alpha_ : float
        The given or chosen value.
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names of X, if they are strings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import DecisionTreeStudentClassifier
    >>> iris = load_iris(as_frame=True)
    >>> X, y = iris.data[["petal length (cm)"]], iris.target_names[iris.target]
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = DecisionTreeStudentClassifier(max_leaf_nodes=3).fit(X, teacher)
    >>> print(student.export_text())
    |--- petal length (cm) <= 2.45
    |   |--- setosa 0.97, versicolor 0.03
    |--- petal length (cm) > 2.45
    |   |--- petal length (cm) <= 4.85
    |   |   |--- versicolor 0.82, virginica 0.15, setosa 0.03
    |   |--- petal length (cm) > 4.85
    |   |   |--- virginica 0.83, versicolor 0.17
    <BLANKLINE>
    >>> student.rules()[-1]
    'IF 2.45 < petal length (cm) <= 4.85 THEN versicolor 0.82, virginica 0.15, setosa 0.03 (32.7%)'
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **_PRUNED,
        "ccp_alpha": [*_PRUNED["ccp_alpha"], None],
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_leaf_nodes: int | None = None,
        max_features: int | float | str | None = None,
        ccp_alpha: float | str | None = None,
        validation_fraction: float = 0.1,
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
        self.validation_fraction = validation_fraction
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _describe(self, decimals: int | None) -> Callable[[int], str]:
        tree = self.estimator_.tree_
        probabilities, other = self._at_temperature_one(tree.value[:, :, 0]), siblings(tree)

        def shown(node: int, decimals: int) -> str:
            row = probabilities[node].round(decimals)
            likeliest = (-row).argsort(kind="stable")[:_CLASSES_SHOWN]
            return ", ".join(
                f"{self.classes_[k]} {row[k]:.{decimals}f}" for k in likeliest if row[k] > 0
            )

        def describe(node: int) -> str:
            if decimals is not None:
                return shown(node, decimals)
            for enough in _DECIMALS:
                if shown(node, enough) != shown(other[node], enough):
                    return shown(node, enough)
            return shown(node, _DECIMALS[0])

        return describe


class DecisionTreeStudentRegressor(_OneTree, TreeRegressor):
    """One hard tree, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    ccp_alpha : float or "auto", default=0.0
    max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, max_features, \
validation_fraction, transfer, transfer_copies, random_state
        See :class:`DecisionTreeStudentClassifier`.

    Attributes
    ----------
    estimator_ : DecisionTreeRegressor
    ccp_alpha_ : float
        The given or chosen value.
    n_outputs_, n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names of X, if they are strings.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_PRUNED,
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_leaf_nodes: int | None = None,
        max_features: int | float | str | None = None,
        ccp_alpha: float | str = 0.0,
        validation_fraction: float = 0.1,
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
        self.validation_fraction = validation_fraction
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _describe(self, decimals: int | None) -> Callable[[int], str]:
        tree = self.estimator_.tree_
        values, other = tree.value[:, :, 0], siblings(tree)
        return lambda node: ", ".join(
            shown_value(value, beside, decimals)
            for value, beside in zip(values[node], values[other[node]], strict=True)
        )
