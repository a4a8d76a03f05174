"""Conversion of fitted soft trees to the arrays of a bundle, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from soft_students.students.restoring import restore_feature_names, restore_hard_weight


def gates_state(tree: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the metadata and arrays of a bundle that classifier and regressor share."""
    metadata: dict[str, Any] = {"n_features": tree.n_features_in_, "n_iter": tree.n_iter_}
    if hasattr(tree, "hard_weight_"):
        metadata["hard_weight"] = tree.hard_weight_
    if hasattr(tree, "feature_names_in_"):
        metadata["feature_names"] = tree.feature_names_in_
    arrays = {
        "gate_weights": tree.gate_weights_,
        "gate_biases": tree.gate_biases_,
        "gate_betas": tree.gate_betas_,
    }
    if tree.feature_offset_ is not None:
        arrays["feature_offset"] = tree.feature_offset_
    if hasattr(tree, "loss_curve_"):
        arrays["loss_curve"] = np.array(tree.loss_curve_)
        arrays["validation_curve"] = np.array(tree.validation_curve_)
        metadata["best_iter"] = tree.best_iter_
    return metadata, arrays


def restore_gates(tree: Any, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> int:
    """Restore a tree from the checked result of `gates_state`; return the number of leaves."""
    n_features, n_iter = metadata["n_features"], metadata["n_iter"]
    if type(n_features) is not int or type(n_iter) is not int or n_features < 1:
        raise ValueError("n_features and n_iter must be positive integers")
    n_gates = 2**tree.depth - 1
    shapes = {
        "gate_weights": (n_gates, n_features),
        "gate_biases": (n_gates,),
        "gate_betas": (n_gates,),
    }
    if "feature_offset" in arrays:
        shapes["feature_offset"] = (n_features,)
    for name, shape in shapes.items():
        take_floats(arrays, name, shape)
    restore_feature_names(tree, metadata, n_features)
    restore_hard_weight(tree, metadata)
    tree.n_features_in_ = n_features
    tree.n_iter_ = n_iter
    tree.gate_weights_ = arrays["gate_weights"]
    tree.gate_biases_ = arrays["gate_biases"]
    tree.gate_betas_ = arrays["gate_betas"]
    tree.feature_offset_ = arrays.get("feature_offset")
    if "loss_curve" in arrays:
        _restore_curves(tree, metadata, arrays)
    return n_gates + 1


def _restore_curves(tree: Any, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    loss = take_floats(arrays, "loss_curve", (arrays["loss_curve"].size,))
    validation = arrays.get("validation_curve", np.empty(0))
    if len(validation):
        take_floats(arrays, "validation_curve", loss.shape)
    best = metadata.get("best_iter")
    if best is not None and not (type(best) is int and 0 <= best < len(validation)):
        raise ValueError(f"best_iter must be an epoch of the validation curve, not {best!r}")
    tree.loss_curve_, tree.validation_curve_ = loss.tolist(), validation.tolist()
    tree.best_iter_ = best


def take_floats(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return one array of a bundle; raise ValueError if its type or shape is wrong."""
    array = arrays.get(name)
    if array is None:
        raise ValueError(f"the array {name!r} is missing")
    if array.dtype not in (np.float32, np.float64) or array.shape != shape:
        raise ValueError(
            f"the array {name!r} must be floating, of shape {shape}; it is {array.dtype} of shape "
            f"{array.shape}"
        )
    return array
