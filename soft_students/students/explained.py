"""Methods of students that explain predictions and draw trees.

Imports `explain` on each call, since `explain` imports the students.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from soft_students.explain import Explanation


class Contributions(NamedTuple):
    """The outputs for one row as sums over features: ``outputs = base + contributions.sum(1)``.

    Parameters
    ----------
    contributions : ndarray of shape (n_outputs, n_features)
    base : ndarray of shape (n_outputs,)
    outputs : ndarray of shape (n_outputs,)
        Values; of a classifier the logits at temperature one, of two classes the log-odds of the
        second alone.
    baseline : str
        What `base` is the output of: "mean of the training rows".
    of_probabilities : bool, default=False
        Whether a classifier's outputs are probabilities at its temperature in place of logits.
    """

    contributions: np.ndarray
    base: np.ndarray
    outputs: np.ndarray
    baseline: str
    of_probabilities: bool = False


class Explained:
    """Adds `explain` to a student.

    The class defines ``_contributions(rows)``, which takes one row of shape (1, n_features) as
    `_rows` returns it and returns `Contributions`; or its explanation is registered in
    :func:`soft_students.explain.explain`.
    """

    def explain(
        self,
        x: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Iterable[str] | None = None,
    ) -> Explanation:
        """Explain the prediction of one row.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (1, n_features), Series, or DataFrame of one row
        image_shape, feature_names
            See :func:`soft_students.explain.explain`.

        Returns
        -------
        Explanation
        """
        from soft_students.explain import explain

        return explain(self, x, image_shape=image_shape, feature_names=feature_names)


class ExplainedSoftTree(Explained):
    """Adds `plot_tree` and `plot_path` to a soft tree."""

    def plot_tree(
        self: Any,
        *,
        X: Any | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Iterable[str] | None = None,
        root: int = 0,
        max_depth: int = 4,
        top: int = 5,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw the filter of every gate and the prediction of every leaf.

        Needs ``pip install 'soft-students[plots]'``.

        Parameters
        ----------
        X, image_shape, feature_names, root, max_depth, top, ax
            See :func:`soft_students.explain.plot_tree`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from soft_students.explain import plot_tree

        return plot_tree(
            self,
            X=X,
            image_shape=image_shape,
            feature_names=feature_names,
            root=root,
            max_depth=max_depth,
            top=top,
            ax=ax,
        )

    def plot_path(
        self: Any,
        x: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Iterable[str] | None = None,
        top: int = 6,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw the path of one row: each gate's filter, activation and probability, and the leaf.

        Needs ``pip install 'soft-students[plots]'``.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (1, n_features)
        image_shape, feature_names, top, ax
            See :func:`soft_students.explain.plot_path`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from soft_students.explain import plot_path

        return plot_path(
            self, x, image_shape=image_shape, feature_names=feature_names, top=top, ax=ax
        )
