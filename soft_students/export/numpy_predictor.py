"""Predicts with a soft decision tree; needs only numpy.

This file is self-contained. soft-students writes it beside every tree exported as ``.npz``; you may
copy it under the same licence (BSD-3-Clause).

    from numpy_predictor import SoftTree

    tree = SoftTree.load("tree.npz")
    tree.predict(X)              # many rows, or one row x of shape (n_features,)
    tree.predict_proba(X)        # for classifiers
"""

from __future__ import annotations

import math
import os
import zipfile
from typing import Any

import numpy as np

FORMAT = 1
_BATCH = 1024  # rows at once, which bounds memory
_PREDICTIONS = ("expectation", "greatest_path", "greedy")
_STORED = ("float64", "float32", "float16", "int8")
_EXPANSION, _EXPANSION_FREE = (
    20,
    2**25,
)  # maximum unpacked size: a multiple of the file's size plus a number of bytes


class SoftTree:
    """An exported soft decision tree.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of the ``.npz`` file.
    prediction : {"expectation", "greatest_path", "greedy"}, default=None
        Mean of the leaves weighted by path probability; leaf of greatest path probability; or leaf
        along the likelier child at each gate, which takes one dot product per level. None: the
        tree's own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or None
        None for a regressor.
    n_features_in_ : int
    prediction : str

    Raises
    ------
    ValueError
        If the arrays are not those of a tree.
    """

    def __init__(self, arrays: Any, prediction: str | None = None) -> None:
        values = {name: np.asarray(arrays[name]) for name in arrays}
        _check(values)
        self.prediction = str(values["prediction"]) if prediction is None else prediction
        if self.prediction not in _PREDICTIONS:
            raise ValueError(f"prediction must be one of {_PREDICTIONS}. Got {prediction!r}.")
        self.classes_ = values.get("classes")
        self.n_features_in_ = values["weights"].shape[1]
        self._type = np.dtype(str(values["input_type"]))
        self._flat = bool(values["flat"])
        self._temperature = float(values["temperature"])
        scales = values["scales"][:, None].astype(self._type)
        self._weights = values["weights"].astype(self._type) * scales
        self._biases = values["biases"].astype(self._type)[:, None]
        self._offset = values["offset"].astype(self._type) if "offset" in values else None
        self._leaves = values["leaves"].astype(self._type)
        self._answers = values["answers"].astype(self._type)
        # For greedy descent: a list is several times faster to index than an array.
        self._rows = list(self._weights)
        self._thresholds = (-values["biases"]).tolist()

    @classmethod
    def load(cls, path: str | os.PathLike[str], prediction: str | None = None) -> SoftTree:
        """Read a tree from an ``.npz`` file, without running code from it.

        Parameters
        ----------
        path : str or path-like
        prediction : {"expectation", "greatest_path", "greedy"}, default=None
            None: the tree's own.

        Returns
        -------
        SoftTree

        Raises
        ------
        ValueError
            If the file is not an exported tree.
        OSError
            If the file cannot be read.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > _EXPANSION * os.path.getsize(path) + _EXPANSION_FREE:
                raise ValueError("it unpacks to far more than its size")
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
        except OSError:
            raise
        except Exception:  # numpy and zipfile raise almost anything for a damaged file
            raise ValueError(f"'{os.fspath(path)}' is damaged, or not an exported tree.") from None
        try:
            return cls(arrays, prediction)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"Cannot load '{os.fspath(path)}': {error}") from None

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, for many rows or one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_features,)

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_classes,)
        """
        if self.classes_ is None:
            raise AttributeError("This tree is a regressor without probabilities. Use predict.")
        return self._outputs(X)

    def predict(self, X: Any) -> Any:
        """Return the likeliest class, or the value, for many rows or one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_features,)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs); a scalar or (n_outputs,) for a row
        """
        outputs = self._outputs(X)
        if self.classes_ is not None:
            return self.classes_[outputs.argmax(axis=-1)]
        return outputs[..., 0] if self._flat else outputs

    def _outputs(self, X: Any) -> np.ndarray:
        X = np.asarray(X, dtype=self._type)
        if X.shape[-1:] != (self.n_features_in_,) or X.ndim > 2:
            raise ValueError(
                f"Expected rows of {self.n_features_in_} features: an array of shape "
                f"(n_samples, {self.n_features_in_}) or ({self.n_features_in_},). Got {X.shape}."
            )
        if X.ndim == 1:
            if self.prediction == "greedy":
                return self._answers[self._descend(X)].copy()
            return self._route(X[None])[0]
        outputs = np.empty((len(X), self._leaves.shape[1]), dtype=self._type)
        for start in range(0, len(X), _BATCH):
            outputs[start : start + _BATCH] = self._route(X[start : start + _BATCH])
        return outputs

    def _descend(self, x: np.ndarray) -> int:
        """Return the leaf along the likelier child at each gate."""
        if self._offset is not None:
            x = x - self._offset
        rows, thresholds = self._rows, self._thresholds
        n_gates = len(rows)
        product = float(rows[0].dot(x))
        if not math.isfinite(product):
            raise ValueError("The row contains NaN or infinity.")
        node = 2 if product > thresholds[0] else 1
        while node < n_gates:
            node = 2 * node + (2 if rows[node].dot(x) > thresholds[node] else 1)
        return node - n_gates

    def _route(self, X: np.ndarray) -> np.ndarray:
        if self._offset is not None:
            X = X - self._offset
        # One row per gate, so that the steps below use contiguous memory.
        activations = self._weights @ X.T
        activations += self._biases
        if not np.isfinite(activations[0]).all():
            raise ValueError("X contains NaN or infinity.")
        if self.prediction == "greedy":
            return self._answers[_greedy_leaves(activations)]
        paths = _leaf_probabilities(activations)
        if self.prediction == "greatest_path":
            return self._answers[paths.argmax(axis=0)]
        outputs = paths.T @ self._leaves
        return outputs if self.classes_ is None else _sharpen(outputs, self._temperature)


def _greedy_leaves(activations: np.ndarray) -> np.ndarray:
    n_gates, n = activations.shape
    columns, nodes = np.arange(n), np.zeros(n, dtype=np.intp)
    for _ in range((n_gates + 1).bit_length() - 1):
        nodes = 2 * nodes + 1 + (activations[nodes, columns] > 0)
    return nodes - n_gates


def _leaf_probabilities(activations: np.ndarray) -> np.ndarray:
    """Return the probability of each leaf, shape (n_leaves, n); overwrites `activations`."""
    n_gates, n = activations.shape
    limit = 87 if activations.dtype == np.float32 else 708  # avoids overflow of exp
    odds = np.clip(activations, -limit, limit, out=activations)
    np.exp(np.negative(odds, out=odds), out=odds)
    children = np.empty((n_gates, 2, n), dtype=activations.dtype)
    right = np.divide(1, 1 + odds, out=children[:, 1])
    # 1 - right would round off a small left probability.
    np.multiply(odds, right, out=children[:, 0])
    paths = children[0]
    first = 1
    while first < n_gates:
        level = children[first : 2 * first + 1]
        paths = (paths[:, None] * level).reshape(-1, n)
        first = 2 * first + 1
    return paths


def _sharpen(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Undo the temperature of training: p**T, normalised."""
    if temperature != 1:
        logs = np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))
        logs *= temperature
        logs -= logs.max(axis=1, keepdims=True)
        probabilities = np.exp(logs)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _check(values: dict[str, np.ndarray]) -> None:
    """Raise ValueError unless the arrays are those of a tree."""
    needed = {"format", "weights", "scales", "biases", "leaves", "answers", "temperature", "flat"}
    missing = (needed | {"prediction", "input_type"}) - set(values)
    if missing:
        raise ValueError(f"it is not an exported tree: {', '.join(sorted(missing))} is missing.")
    if values["format"] != FORMAT:
        raise ValueError(
            f"its format is {values['format']}, but this reader's is {FORMAT}. Use the "
            "numpy_predictor.py that was written beside it."
        )
    weights, leaves = values["weights"], values["leaves"]
    n_gates = len(leaves) - 1 if leaves.ndim == 2 else 0
    if n_gates < 1 or n_gates & (n_gates + 1) or weights.ndim != 2 or len(weights) != n_gates:
        raise ValueError("its gates and leaves do not form a complete tree.")
    shapes = {
        "scales": (n_gates,),
        "biases": (n_gates,),
        "answers": leaves.shape,
        "temperature": (),
        "flat": (),
    }
    if "offset" in values:
        shapes["offset"] = weights.shape[1:]
    if "classes" in values:
        shapes["classes"] = leaves.shape[1:]
    for name, shape in shapes.items():
        if values[name].shape != shape:
            raise ValueError(f"{name} must have the shape {shape}. Got {values[name].shape}.")
    if weights.dtype.name not in _STORED or str(values["input_type"]) not in _STORED[:2]:
        raise ValueError("its arrays are of an unknown type.")
    numbers = set(shapes) - {"classes", "flat"} | {"leaves", "weights"}
    for name in numbers:
        if values[name].dtype.kind not in "fi" or not np.isfinite(values[name]).all():
            raise ValueError(f"{name} must hold finite numbers.")
    if values["temperature"] <= 0:
        raise ValueError(f"temperature must be > 0. Got {values['temperature']}.")
