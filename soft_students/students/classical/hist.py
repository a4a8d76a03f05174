"""Gradient-boosted trees of scikit-learn: one regression per logit."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import RandomState
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import check_random_state

from soft_students.sklearn_private import (
    PREDICTOR_RECORD_DTYPE,
    Interval,
    StrOptions,
    TreePredictor,
    effective_n_threads,
)
from soft_students.students.classical.base import ClassicalStudentRegressor
from soft_students.students.classical.boosting_rounds import open_checkpoint
from soft_students.students.classical.logits import LogitStudentClassifier
from soft_students.students.classical.path_differences import path_differences
from soft_students.students.classical.tree_counts import BoostedTrees
from soft_students.students.explained import Contributions, Explained
from soft_students.transfer import Transfer

if TYPE_CHECKING:
    from soft_students.persistence.checkpoints import Checkpoint

_LIBRARY: dict[str, list[Any]] = {
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
    "max_depth": [Interval(Integral, 1, None, closed="left"), None],
    "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
    "l2_regularization": [Interval(Real, 0, None, closed="left")],
    "max_features": [Interval(Real, 0, 1, closed="right")],
    "max_bins": [Interval(Integral, 2, 255, closed="both")],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "tol": [Interval(Real, 0, None, closed="left")],
}
_SHARED: dict[str, list[Any]] = {
    **_LIBRARY,
    "checkpoint": [str, os.PathLike, None],
    "resume": ["boolean"],
}
#: Fields of a node that predictions need, and their types in bundles.
_FIELDS: dict[str, str] = {
    "value": "float64",
    "feature_idx": "int32",
    "num_threshold": "float64",
    "missing_go_to_left": "uint8",
    "left": "uint32",
    "right": "uint32",
    "is_leaf": "uint8",
}
_OF_TREES = ("tree_sizes", "trees_per_output", "baseline")
_WIDENED = ("left", "right")  # to signed integers, in checkpoints


class _HistStudent(Explained, BoostedTrees):
    """Base class of the boosted students of scikit-learn, with trees as arrays of nodes."""

    _takes_missing = True

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"max_iter": 30, "min_samples_leaf": 1, "max_leaf_nodes": 8}

    def _fit_values(self, X: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> None:
        random_state = check_random_state(self.random_state)
        seeds = [random_state.randint(np.iinfo(np.int32).max) for _ in values.T]
        settings = {name: getattr(self, name) for name in _LIBRARY}
        opened: Any = nullcontext()
        if self.checkpoint is not None:
            description = (type(self).__name__, settings, seeds)
            arrays = (X, values, weights)
            opened = open_checkpoint(self.checkpoint, description, arrays, resume=self.resume)
        with opened as checkpoint:
            nodes, baseline = self._kept_outputs(checkpoint, len(seeds))
            before, began = 0.0 if checkpoint is None else checkpoint.seconds, time.monotonic()
            for column, seed in list(zip(values.T, seeds, strict=True))[len(nodes) :]:
                model = HistGradientBoostingRegressor(**settings, random_state=seed)
                model.fit(X, column, sample_weight=weights)
                nodes.append([_kept(tree.nodes) for (tree,) in model._predictors])
                baseline.append(float(model._baseline_prediction.item()))
                if checkpoint is not None and len(nodes) < len(seeds):
                    seconds = before + time.monotonic() - began
                    checkpoint.write_if_due(0, lambda: _state(nodes, baseline), seconds)
        self.nodes_, self.baseline_ = nodes, np.array(baseline)
        self.n_iter_ = np.array([len(trees) for trees in nodes])

    def _kept_outputs(
        self, checkpoint: Checkpoint | None, n_outputs: int
    ) -> tuple[list[list[np.ndarray]], list[float]]:
        """Return the trees and baselines of the outputs in the checkpoint."""
        state = None if checkpoint is None else checkpoint.take(0)
        if checkpoint is None or state is None:
            return [], []
        try:
            arrays = {name: state[name].numpy() for name in (*_FIELDS, *_OF_TREES)}
            for name in _WIDENED:
                arrays[name] = arrays[name].astype(_FIELDS[name])
            n_kept = len(arrays["baseline"])
            if not 1 <= n_kept < n_outputs:
                raise ValueError(f"it must hold 1 to {n_outputs - 1} outputs")
            nodes, baseline = _unpacked(arrays, self.n_features_in_, n_kept)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise checkpoint.damaged(error) from error
        return nodes, baseline.tolist()

    def _values(self, X: np.ndarray) -> np.ndarray:
        X = np.ascontiguousarray(X, dtype=np.float64)
        # no column is categorical
        bitsets, places = np.zeros((0, 8), np.uint32), np.zeros(X.shape[1], np.uint32)
        threads = effective_n_threads()
        values = np.tile(self.baseline_, (len(X), 1))
        for output, trees in enumerate(self.nodes_):
            for nodes in trees:
                tree = TreePredictor(nodes, bitsets, bitsets)
                values[:, output] += tree.predict(X, bitsets, places, threads)
        return values

    def _leaf_depths(self) -> list[dict[int, int]]:
        depths = []
        for nodes in self._trees():
            depth = np.zeros(len(nodes), dtype=np.intp)
            for node in np.flatnonzero(nodes["is_leaf"] == 0):  # parents precede their children
                depth[nodes["left"][node]] = depth[nodes["right"][node]] = depth[node] + 1
            leaves = np.flatnonzero(nodes["is_leaf"])
            depths.append(dict(zip(leaves.tolist(), depth[leaves].tolist(), strict=True)))
        return depths

    def _reached_leaves(self, rows: np.ndarray) -> list[np.ndarray]:
        return [_paths(nodes, rows)[-1] for nodes in self._trees()]

    def _trees(self) -> list[np.ndarray]:
        return [nodes for output in self.nodes_ for nodes in output]

    def _contributions(self, rows: np.ndarray) -> Contributions:
        """Return the changes of the output along the row's paths, by feature: the trees' sum."""
        n_features = rows.shape[1]
        parts, base = np.zeros((len(self.nodes_), n_features)), self.baseline_.copy()
        for output, trees in enumerate(self.nodes_):
            for nodes in trees:
                path = [int(node) for (node,) in _paths(nodes, rows)]
                values = nodes["value"][path]
                values[:-1] *= self.learning_rate  # scikit-learn shrinks the leaves alone
                features = nodes["feature_idx"][path[:-1]]
                parts[output] += path_differences(features, values[:, None], n_features)[0]
                base[output] += values[0]
        outputs = self._values(rows)[0]
        if isinstance(self, LogitStudentClassifier):
            factor, shift = self.temperature_ * self.scale_, self.temperature_ * self.bias_
            if len(self.classes_) == 2:  # the output is the second's logit, the first's is minus it
                factor, shift = 2 * factor, shift[1:] - shift[:1]
            parts, base, outputs = factor * parts, factor * base + shift, factor * outputs + shift
        return Contributions(parts, base, outputs, "mean of the targets")

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays = _packed(self.nodes_, self.baseline_)
        return {**self._names_state(), **self._output_state()}, arrays

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        self.nodes_, self.baseline_ = _unpacked(arrays, n_features, n_outputs)
        self.n_iter_ = arrays["trees_per_output"]


def _paths(nodes: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Return the node of each row, step by step, until all have reached their leaves."""
    steps = [np.zeros(len(rows), dtype=np.intp)]
    while len(moving := np.flatnonzero(nodes["is_leaf"][steps[-1]] == 0)):
        at = nodes[steps[-1][moving]]
        values = rows[moving, at["feature_idx"]]
        missing = np.isnan(values) & (at["missing_go_to_left"] == 1)
        left = missing | (values <= at["num_threshold"])
        here = steps[-1].copy()
        here[moving] = np.where(left, at["left"], at["right"])
        steps.append(here)
    return steps


def _packed(nodes: list[list[np.ndarray]], baseline: np.ndarray) -> dict[str, np.ndarray]:
    """Pack the trees of all outputs into arrays for a file."""
    trees = [tree for output in nodes for tree in output]
    joined = np.concatenate(trees)
    arrays = {name: joined[name].astype(kind) for name, kind in _FIELDS.items()}
    arrays["tree_sizes"] = np.array([len(tree) for tree in trees])
    arrays["trees_per_output"] = np.array([len(output) for output in nodes])
    arrays["baseline"] = baseline
    return arrays


def _unpacked(
    arrays: dict[str, np.ndarray], n_features: int, n_outputs: int
) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Check and unpack the arrays of `_packed`; return trees by output, and the baseline."""
    baseline = arrays["baseline"]
    sizes, per_output = arrays["tree_sizes"], arrays["trees_per_output"]
    if baseline.dtype != np.float64 or baseline.shape != (n_outputs,):
        raise ValueError(f"the baseline must be float64 of shape ({n_outputs},)")
    for array in (sizes, per_output):
        if array.dtype != np.int64 or array.ndim != 1 or array.min(initial=1) < 1:
            raise ValueError("sizes must be positive int64")
    n_nodes = len(arrays["value"])
    if sizes.max(initial=0) > n_nodes or sum(sizes.tolist()) != n_nodes:
        raise ValueError("the sizes of the trees do not add up to their nodes")
    if len(per_output) != n_outputs or sum(per_output.tolist()) != len(sizes):
        raise ValueError("the trees of the outputs do not add up to the trees")
    joined = np.zeros(n_nodes, dtype=PREDICTOR_RECORD_DTYPE)
    for name, kind in _FIELDS.items():
        if arrays[name].dtype != kind or arrays[name].shape != (n_nodes,):
            raise ValueError(f"the array {name!r} must hold {n_nodes} of {kind}")
        joined[name] = arrays[name]
    trees = np.split(joined, np.cumsum(sizes)[:-1])
    for nodes in trees:
        _check_tree(nodes, n_features)
    ends = np.cumsum(per_output).tolist()
    starts = [0, *ends[:-1]]
    return [trees[a:b] for a, b in zip(starts, ends, strict=True)], baseline


def _state(nodes: list[list[np.ndarray]], baseline: list[float]) -> dict[str, Any]:
    """Return the trees of the outputs as tensors for a checkpoint."""
    import torch

    arrays = _packed(nodes, np.array(baseline))
    arrays |= {name: arrays[name].astype(np.int64) for name in _WIDENED}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _kept(nodes: np.ndarray) -> np.ndarray:
    """Return the nodes with only the fields that predictions need."""
    kept = np.zeros_like(nodes)
    for name in _FIELDS:
        kept[name] = nodes[name]
    # bundles need finite numbers: infinity splits missing values from others, and leaves have none
    kept["num_threshold"] = np.nan_to_num(kept["num_threshold"])
    kept["num_threshold"][kept["is_leaf"] == 1] = 0
    kept["feature_idx"][kept["is_leaf"] == 1] = 0
    return kept


def _check_tree(nodes: np.ndarray, n_features: int) -> None:
    """Raise ValueError if nodes are no tree: the compiled code does not check their indices."""
    leaf = nodes["is_leaf"].astype(bool)
    n = len(nodes)
    here = np.tile(np.flatnonzero(~leaf), 2)
    children = np.concatenate([nodes["left"][~leaf], nodes["right"][~leaf]]).astype(np.int64)
    feature = nodes["feature_idx"]
    if (
        nodes["is_leaf"].max() > 1
        or nodes["missing_go_to_left"].max() > 1
        or not ((children > here) & (children < n)).all()
        or not np.array_equal(np.sort(children), np.arange(1, n))
    ):
        raise ValueError("the children of a tree's nodes do not make a tree")
    if not ((feature >= 0) & (feature < n_features)).all():
        raise ValueError(f"a tree uses features beyond the {n_features} of the student")


class HistGradientBoostingStudentClassifier(_HistStudent, LogitStudentClassifier):
    """Gradient-boosted trees of scikit-learn, trained on a teacher or on labels.

    One ``HistGradientBoostingRegressor`` is fitted per logit: the logarithm of the teacher's
    probability (clipped at 0.001) minus the mean of the row. A scale and biases, fitted to the soft
    cross-entropy on the training rows, turn their outputs into logits.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T. A regression on logits scales with T, which therefore matters little (through the
        clipping of probabilities and the calibration). Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    learning_rate, max_iter, max_leaf_nodes, max_depth, min_samples_leaf, l2_regularization, \
max_features, max_bins, early_stopping, n_iter_no_change, validation_fraction, tol
        See :class:`sklearn.ensemble.HistGradientBoostingRegressor`, for each logit.
    transfer : Transfer or None, default=None
        Makes additional rows, labelled by the teacher.
    transfer_copies : int, default=4
        Rows made from each training row.
    checkpoint : str or path-like, default=None
        File for the finished logits, written after a logit at most every ten seconds and removed at
        the end. Two classes have one logit, whose training starts again.
    resume : bool, default=False
        Whether to continue from an existing `checkpoint`, to a bit-identical result.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    nodes_ : list of list of ndarray
        Nodes of each tree of each output. Two classes have one output, that of the second.
    baseline_ : ndarray of shape (n_outputs,)
        Constant to which the trees are added.
    n_iter_ : ndarray of shape (n_outputs,)
        Number of trees of each output.
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
    >>> from soft_students.students import HistGradientBoostingStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = HistGradientBoostingStudentClassifier(max_iter=20).fit(X, teacher)
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
        learning_rate: float = 0.1,
        max_iter: int = 100,
        max_leaf_nodes: int | None = 31,
        max_depth: int | None = None,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
        max_features: float = 1.0,
        max_bins: int = 255,
        early_stopping: str | bool = "auto",
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.1,
        tol: float = 1e-7,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.max_bins = max_bins
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.tol = tol
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state


class HistGradientBoostingStudentRegressor(_HistStudent, ClassicalStudentRegressor):
    """Gradient-boosted trees of scikit-learn, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    learning_rate, max_iter, max_leaf_nodes, max_depth, min_samples_leaf, l2_regularization, \
max_features, max_bins, early_stopping, n_iter_no_change, validation_fraction, tol
        See :class:`sklearn.ensemble.HistGradientBoostingRegressor`, for each output.
    transfer, transfer_copies, checkpoint, resume, random_state
        See :class:`HistGradientBoostingStudentClassifier`.

    Attributes
    ----------
    nodes_ : list of list of ndarray
        Nodes of each tree of each output.
    baseline_ : ndarray of shape (n_outputs,)
    n_iter_ : ndarray of shape (n_outputs,)
        Number of trees of each output.
    n_outputs_, n_features_in_ : int
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "bins hold so many rows, of any weight",
    }
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_SHARED,
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        learning_rate: float = 0.1,
        max_iter: int = 100,
        max_leaf_nodes: int | None = 31,
        max_depth: int | None = None,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
        max_features: float = 1.0,
        max_bins: int = 255,
        early_stopping: str | bool = "auto",
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.1,
        tol: float = 1e-7,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.max_bins = max_bins
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.tol = tol
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        self._fit_values(X, targets, weights)
