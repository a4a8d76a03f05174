"""Reads the arrays of a fitted soft tree, from which all exports are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from sklearn.utils.validation import check_is_fitted

from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.targets import sharpen

Prediction = Literal["expectation", "greatest_path", "greedy"]
Weights = Literal["float64", "float32", "float16", "int8"]


@dataclass(frozen=True, eq=False)
class FlatTree:
    """The arrays with which a soft tree predicts.

    Gate ``i`` goes right with probability σ(scales[i] (weights[i]·(x - offset)) + biases[i]); its
    children are ``2i + 1`` (left) and ``2i + 2`` (right); leaf ``l`` is node ``n_gates + l``.

    Parameters
    ----------
    weights : ndarray of shape (n_gates, n_features)
        In the dtype in which they are stored.
    scales : ndarray of shape (n_gates,), float64
        β of each gate, times the unit of its stored weights.
    biases : ndarray of shape (n_gates,), float64
        β times the gate's bias.
    offset : ndarray of shape (n_features,) or None
    leaves : ndarray of shape (n_leaves, n_outputs), float64
        Values of the leaves; class probabilities at the temperature of training.
    answers : ndarray of shape (n_leaves, n_outputs), float64
        Predictions of single leaves; class probabilities at temperature one.
    temperature : float
    classes : ndarray of shape (n_outputs,) or None
        None for regression.
    flat : bool
        Whether a regressor predicts a one-dimensional array.
    prediction : {"expectation", "greatest_path", "greedy"}
    input_type : dtype
        Dtype of the training: float32 or float64.
    """

    weights: np.ndarray
    scales: np.ndarray
    biases: np.ndarray
    offset: np.ndarray | None
    leaves: np.ndarray
    answers: np.ndarray
    temperature: float
    classes: np.ndarray | None
    flat: bool
    prediction: Prediction
    input_type: np.dtype

    @property
    def depth(self) -> int:
        """Number of levels of gates."""
        return len(self.leaves).bit_length() - 1


def flat_tree(
    student: Any, *, prediction: Prediction | None = None, weights: Weights | None = None
) -> FlatTree:
    """Return the arrays of a fitted soft tree.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
    prediction : {"expectation", "greatest_path", "greedy"}, default=None
        None: the student's own.
    weights : {"float64", "float32", "float16", "int8"}, default=None
        Type in which the gates' weights are stored. None: the type of the training.

    Returns
    -------
    FlatTree

    Raises
    ------
    TypeError
        If `student` is not a soft tree.
    sklearn.exceptions.NotFittedError
    ValueError
        If a parameter is unknown or a weight is not finite.
    """
    if not isinstance(student, SoftDecisionTreeClassifier | SoftDecisionTreeRegressor):
        raise TypeError(_not_a_tree(student))
    check_is_fitted(student)
    prediction = _choice("prediction", prediction or student.prediction, get_args(Prediction))
    input_type = student.gate_weights_.dtype
    weights = _choice("weights", weights or input_type.name, get_args(Weights))
    betas = student.gate_betas_.astype(np.float64)
    stored, units = _store(student.gate_weights_, weights)
    classes: np.ndarray | None = None
    temperature, flat = 1.0, False
    if isinstance(student, SoftDecisionTreeClassifier):
        classes, temperature = _named(student.classes_), float(student.temperature_)
        shifted = student.leaf_logits_.astype(np.float64)
        shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        leaves = shifted / shifted.sum(axis=1, keepdims=True)
        answers = sharpen(leaves, temperature)
    else:
        leaves = answers = student.leaf_values_.astype(np.float64)
        flat = student._flat
    tree = FlatTree(
        weights=stored,
        scales=betas * units,
        biases=betas * student.gate_biases_,
        offset=student.feature_offset_,
        leaves=leaves,
        answers=answers,
        temperature=temperature,
        classes=classes,
        flat=flat,
        prediction=prediction,
        input_type=input_type,
    )
    if not all(np.isfinite(a).all() for a in (student.gate_weights_, tree.biases, leaves)):
        raise ValueError("The tree has weights that are not finite, and cannot be exported.")
    return tree


def _store(weights: np.ndarray, kind: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return weights in their stored type and the unit of each gate, so that w ≈ unit * stored."""
    if kind in ("float64", "float32"):
        return weights.astype(kind), np.ones(len(weights))
    greatest = np.abs(weights.astype(np.float64)).max(axis=1)
    greatest[greatest == 0] = 1
    if kind == "float16":
        # A power of two costs no precision and avoids overflow and underflow of float16.
        units = np.exp2(np.ceil(np.log2(greatest)))
        return (weights / units[:, None]).astype(np.float16), units
    units = greatest / 127
    return np.rint(weights / units[:, None]).astype(np.int8), units


def _named(classes: np.ndarray) -> np.ndarray:
    """Return class labels as an array that can be saved without pickle."""
    if classes.dtype != object:
        return classes
    if all(isinstance(label, str) for label in classes):
        return classes.astype(str)
    raise ValueError(
        "Only classes that are all strings, all numbers or all booleans can be exported. Got "
        f"{classes.tolist()!r:.80}."
    )


def _choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"The {name!r} parameter of an export must be one of {known}. Got {value!r}."
        )
    return value


def _not_a_tree(student: Any) -> str:
    hint = ""
    if hasattr(student, "student_"):
        hint = " Export its student: the attribute 'student_'."
    elif hasattr(student, "steps"):
        hint = " Export its last step, and apply the steps before it yourself."
    return (
        "Only a fitted SoftDecisionTreeClassifier or SoftDecisionTreeRegressor can be exported. "
        f"Got {type(student).__name__}.{hint}"
    )
