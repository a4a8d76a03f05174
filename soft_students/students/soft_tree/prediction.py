"""Prediction with a fitted soft tree: paths, leaves and outputs of rows."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from soft_students.students.declared import Declared
from soft_students.students.missing import validate_rows
from soft_students.students.soft_tree import routing

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class RoutedTree(Declared, BaseEstimator):
    """Base class that routes rows through the gates of a fitted tree."""

    prediction: str
    gate_weights_: np.ndarray
    gate_biases_: np.ndarray
    gate_betas_: np.ndarray
    feature_offset_: np.ndarray | None

    @abstractmethod
    def _leaf_values(self) -> np.ndarray:
        """Return the prediction of each leaf, of shape (n_leaves, n_outputs)."""

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"depth": 2, "epochs": 150, "learning_rate": 0.05}

    def _structure(self) -> dict[str, int]:
        gates, leaves = self.gate_weights_, self._leaf_values()
        return {
            "gates": len(gates),
            "leaves": len(leaves),
            "parameters": gates.size + len(gates) + leaves.size,
        }

    def _operations(self, X: Any) -> float:
        (n_gates, n_features), leaves = self.gate_weights_.shape, self._leaf_values()
        if self.prediction == "greedy":
            return float(np.log2(len(leaves)) * (2 * n_features + 1))
        paths = 2 * n_gates * n_features + 2 * n_gates
        read = 2 * leaves.size if self.prediction == "expectation" else len(leaves) - 1
        return float(paths + read)

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        if type(X) is np.ndarray and self._is_valid(X):
            return X
        return validate_rows(self, X, reset=False, dtype=[np.float64, np.float32])

    def _is_valid(self, X: np.ndarray) -> bool:
        """Return whether `X` surely passes `validate_data`, which takes longer than one row."""
        if (
            X.dtype not in _FLOATS
            or X.ndim != 2
            or not len(X)
            or X.shape[1] != self.n_features_in_
            or hasattr(self, "feature_names_in_")
        ):
            return False
        with np.errstate(all="ignore"):
            return bool(np.isfinite(X.sum()))

    def _activations(self, X: np.ndarray) -> np.ndarray:
        return routing.gate_activations(
            X, self.gate_weights_, self.gate_biases_, self.gate_betas_, self.feature_offset_
        )

    def _leaves(self, activations: np.ndarray) -> np.ndarray:
        if self.prediction == "greedy":
            return routing.greedy_leaves(activations)
        return routing.greatest_path_leaves(routing.path_probabilities(activations))

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        """Return the combined leaf values of each row, of shape (n, n_outputs)."""
        values = self._leaf_values().astype(X.dtype, copy=False)
        n_inner = len(self.gate_biases_)
        outputs = np.empty((len(X), values.shape[1]), dtype=X.dtype)
        done = 0
        for batch in routing.row_batches(X):
            activations = self._activations(batch)
            if self.prediction == "expectation":
                made = routing.path_probabilities(activations)[:, n_inner:] @ values
            else:
                made = values[self._leaves(activations) - n_inner]
            outputs[done : done + len(batch)] = made
            done += len(batch)
        return outputs

    def path_probabilities(self, X: Any) -> np.ndarray:
        """Return the probability that each row reaches each node.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_nodes)
            Node 0 is the root; node ``i`` has the children ``2i + 1`` (left) and ``2i + 2``
            (right). Each level of the tree sums to one.
        """
        X = self._checked(X)
        return np.concatenate(
            [
                routing.path_probabilities(self._activations(batch))
                for batch in routing.row_batches(X)
            ]
        )

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf of each row.

        The leaf of greatest path probability or, with ``prediction="greedy"``, the one found by
        following the likelier child from the root. The two may differ.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of int, shape (n_samples,)
            Node numbers.
        """
        X = self._checked(X)
        return np.concatenate(
            [self._leaves(self._activations(batch)) for batch in routing.row_batches(X)]
        )

    def decision_path(self, X: Any) -> csr_matrix:
        """Return the nodes from the root to the leaf of `apply`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        csr_matrix of shape (n_samples, n_nodes)
            One where a row passes through the node.
        """
        leaves = self.apply(X)
        depth = int(math.log2(len(self.gate_biases_) + 1))
        nodes = routing.ancestors(leaves, depth)
        starts = np.arange(0, nodes.size + 1, depth + 1)
        return csr_matrix(
            (np.ones(nodes.size, dtype=np.int8), nodes.ravel(), starts),
            shape=(len(nodes), 2 * len(self.gate_biases_) + 1),
        )

    def node_statistics(self, X: Any) -> dict[str, np.ndarray]:
        """Return statistics of each node over the rows of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        dict of ndarray, each with one entry per node; ``pandas.DataFrame`` accepts it
            ``node`` and ``level``; ``reach``, the mean path probability; ``right``, the share of
            it that is sent right (NaN at a leaf); ``decided``, the mean of ``|2p - 1|`` weighted by
            path probability, 1 for a hard gate and 0 for an even one (NaN at a leaf).
        """
        X = self._checked(X)
        n_inner = len(self.gate_biases_)
        reach, decided = np.zeros(2 * n_inner + 1), np.zeros(n_inner)
        for batch in routing.row_batches(X):
            activations = self._activations(batch)
            paths = routing.path_probabilities(activations)
            reach += paths.sum(axis=0)
            decided += (paths[:, :n_inner] * np.abs(np.tanh(activations / 2))).sum(axis=0)
        nowhere = np.full(n_inner + 1, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            right = reach[2::2] / reach[:n_inner]
            decided = decided / reach[:n_inner]
        nodes = np.arange(2 * n_inner + 1)
        return {
            "node": nodes,
            "level": np.floor(np.log2(nodes + 1)).astype(int),
            "reach": reach / len(X),
            "right": np.concatenate([right, nowhere]),
            "decided": np.concatenate([decided, nowhere]),
        }
