"""Reads a fitted soft tree for pictures: effective weights, leaf outputs and names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.transfer import ImageDistortion


@dataclass(frozen=True, eq=False)
class TreeView:
    """Weights, leaf outputs and names of a soft tree.

    Parameters
    ----------
    weights : ndarray of shape (n_gates, n_features), float64
        β w of each gate: the change of its activation per unit of a feature.
    offset : ndarray of shape (n_features,) or None
        Subtracted from a row before the gates.
    leaf_outputs : ndarray of shape (n_leaves, n_outputs), float64
        Class probabilities at temperature one, or values.
    labels : list of str or None
        Names of the classes; None for regression.
    feature_names : list of str
    image_shape : tuple of int or None
        (channels, height, width).
    """

    weights: np.ndarray
    offset: np.ndarray | None
    leaf_outputs: np.ndarray
    labels: list[str] | None
    feature_names: list[str]
    image_shape: tuple[int, int, int] | None

    @property
    def n_gates(self) -> int:
        """Number of inner nodes, which have the lowest node numbers."""
        return len(self.weights)

    @property
    def depth(self) -> int:
        """Number of levels of gates."""
        return level_of(self.n_gates)

    def leaves_under(self, node: int) -> slice:
        """Return the rows of `leaf_outputs` below a node; for a leaf, its own."""
        level = level_of(node)
        n_leaves = 2 ** (self.depth - level)
        first = (node + 1 - 2**level) * n_leaves
        return slice(first, first + n_leaves)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of `n_features` values as images of shape (n, height, width).

        Channels are side by side.
        """
        if self.image_shape is None:
            raise ValueError("This tree has no image shape. Pass image_shape to view_tree.")
        channels, height, width = self.image_shape
        images = rows.reshape(len(rows), channels, height, width)
        return images.transpose(0, 2, 1, 3).reshape(len(rows), height, channels * width)


def view_tree(
    student: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> TreeView:
    """Return the weights, leaf outputs and names of a fitted soft tree.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width). None: that of the student's
        :class:`~soft_students.transfer.ImageDistortion`, if it has one and `feature_names` is None.
    feature_names : iterable of str, default=None
        None: the names seen in fit, or positions.

    Returns
    -------
    TreeView

    Raises
    ------
    TypeError
        If `student` is not a soft tree.
    sklearn.exceptions.NotFittedError
    ValueError
        If the image shape or the names do not match the student's features.
    """
    if not isinstance(student, SoftDecisionTreeClassifier | SoftDecisionTreeRegressor):
        hint = " Pass its attribute 'student_'." if hasattr(student, "student_") else ""
        raise TypeError(
            "Only a fitted SoftDecisionTreeClassifier or SoftDecisionTreeRegressor can be shown as "
            f"a soft tree. Got {type(student).__name__}.{hint}"
        )
    check_is_fitted(student)
    shape = image_shape_of(student, image_shape, feature_names is not None)
    labels = None
    if isinstance(student, SoftDecisionTreeClassifier):
        labels = [readable(label) for label in student.classes_.tolist()]
        outputs = student.leaf_probabilities_
    else:
        outputs = student.leaf_values_
    weights = student.gate_weights_.astype(np.float64) * student.gate_betas_[:, None]
    return TreeView(
        weights=weights,
        offset=student.feature_offset_,
        leaf_outputs=outputs.astype(np.float64),
        labels=labels,
        feature_names=names_of(student, shape, feature_names),
        image_shape=shape,
    )


def level_of(node: int) -> int:
    """Return the level of a node, which is the number of gates above it."""
    return (int(node) + 1).bit_length() - 1


def check_int(function: str, name: str, value: Any, low: int, high: int | None) -> int:
    """Return a parameter that must be an int in [low, high]; ``high=None`` is infinity."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    interval = f"[{low}, inf)" if high is None else f"[{low}, {high}]"
    raise ValueError(
        f"The {name!r} parameter of {function} must be an int in the range {interval}. "
        f"Got {value!r} instead."
    )


def readable(name: Any) -> str:
    """Return a name on one line, with unprintable characters escaped."""
    text = " ".join(str(name).split())
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def names_of(
    student: Any, shape: tuple[int, int, int] | None, feature_names: Iterable[str] | None
) -> list[str]:
    """Return the readable names of a student's features: as given, as seen in fit, or positions."""
    names = feature_names if feature_names is not None else _known_names(student, shape)
    names = [readable(name) for name in names]
    if len(names) != student.n_features_in_:
        raise ValueError(
            "feature_names must hold one name for each of the student's "
            f"{student.n_features_in_} features. Got {len(names)}."
        )
    return names


def _known_names(student: Any, shape: tuple[int, int, int] | None) -> Iterable[str]:
    if hasattr(student, "feature_names_in_"):
        return student.feature_names_in_
    if shape is None:
        return [f"x{feature}" for feature in range(student.n_features_in_)]
    channels = [""] if shape[0] == 1 else [f"{channel}," for channel in range(shape[0])]
    return [
        f"pixel {channel}{row},{column}"
        for channel in channels
        for row in range(shape[1])
        for column in range(shape[2])
    ]


def image_shape_of(
    student: Any, image_shape: tuple[int, ...] | None, named: bool
) -> tuple[int, int, int] | None:
    """Return (channels, height, width) as given, or unless `named` from an `ImageDistortion`."""
    n_features = student.n_features_in_
    shape = image_shape
    if shape is None:
        transfer = student.transfer
        if named or not isinstance(transfer, ImageDistortion):
            return None
        shape = transfer.image_shape or (math.isqrt(n_features),) * 2
    shape = tuple(shape)
    if not (
        len(shape) in (2, 3)
        and all(isinstance(side, Integral) and side > 0 for side in shape)
        and math.prod(shape) == n_features
    ):
        raise ValueError(
            "The 'image_shape' parameter must be (height, width) or (channels, height, width) of "
            f"the {n_features} features of {type(student).__name__}. Got {image_shape or shape!r}."
        )
    sides = [1, *shape][-3:]
    return int(sides[0]), int(sides[1]), int(sides[2])
