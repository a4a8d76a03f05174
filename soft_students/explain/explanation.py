"""The common interface of explanations of one prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.explain.tree_view import readable
from soft_students.numerals import told_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Explanation(ABC):
    """Explanation of a student's prediction for one row.

    Subclasses add the details as attributes.

    Attributes
    ----------
    prediction : label, float or list of float
    classes : ndarray of shape (n_classes,) or None
        None for regression.
    feature_names : list of str
    """

    prediction: Any
    classes: np.ndarray | None
    feature_names: list[str]

    @abstractmethod
    def importances(self) -> np.ndarray:
        """Return the importance of each feature for this prediction.

        Returns
        -------
        ndarray of shape (n_features,)
            Absolute contributions to the predicted class; in regression, averaged over the outputs.
        """

    @abstractmethod
    def to_text(self, top: int = 3) -> str:
        """Return the explanation as lines of text.

        Parameters
        ----------
        top : int
            Number of features or classes listed, most important first.

        Returns
        -------
        str
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain lists and numbers, for JSON.

        Returns
        -------
        dict
        """

    @abstractmethod
    def plot(self, ax: Axes | None = None, *, top: int = 6) -> Figure:
        """Draw the explanation.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a figure large enough to read.
        top : int
            Number of features drawn, most important first.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
        """

    def __str__(self) -> str:
        return self.to_text()

    def _predicted_class(self) -> int:
        """Return the index of the predicted class."""
        (place,) = np.flatnonzero(self.classes == np.asarray(self.prediction))
        return int(place)

    def _sizes(self, contributions: np.ndarray) -> np.ndarray:
        """Return the importances from contributions of shape (n_outputs, n_features)."""
        if self.classes is None:
            return np.abs(contributions).mean(axis=0)
        return np.abs(contributions[self._predicted_class()])

    def _summaries(self, outputs: np.ndarray, top: int) -> list[str]:
        """Return per row the likeliest classes with their probabilities, or the values, as text."""
        if self.classes is None:
            columns = [told_apart(column) for column in np.transpose(outputs)]
            return [", ".join(row) for row in zip(*columns, strict=True)]
        told = []
        for output in outputs:
            order = np.argsort(-output, kind="stable")[:top]
            told.append(", ".join(f"{readable(self.classes[k])}: {output[k]:.3f}" for k in order))
        return told


def plain(value: Any) -> Any:
    """Return a label or values as built-in Python types."""
    return value.tolist() if hasattr(value, "tolist") else value
