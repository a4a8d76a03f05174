"""What every explanation of one prediction can do."""

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
    """How a student came to predict what it predicts of one row.

    Subclasses hold the details as attributes.

    Attributes
    ----------
    prediction : label, float or list of float
        What the student predicts.
    classes : ndarray of shape (n_classes,) or None
        None for regression.
    feature_names : list of str
    """

    prediction: Any
    classes: np.ndarray | None
    feature_names: list[str]

    @abstractmethod
    def importances(self) -> np.ndarray:
        """Return how much each feature matters to this prediction.

        Returns
        -------
        ndarray of shape (n_features,)
            Sizes of the contributions to the predicted class; of values, their mean over the
            outputs.
        """

    @abstractmethod
    def to_text(self, top: int = 3) -> str:
        """Return it as lines of text.

        Parameters
        ----------
        top : int
            Features or classes named, those that matter most.

        Returns
        -------
        str
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain lists and numbers, fit for JSON.

        Returns
        -------
        dict
        """

    @abstractmethod
    def plot(self, ax: Axes | None = None, *, top: int = 6) -> Figure:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a figure of a size at which everything is readable.
        top : int
            Features drawn, those that matter most.

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
        """Return the place of the predicted class."""
        (place,) = np.flatnonzero(self.classes == np.asarray(self.prediction))
        return int(place)

    def _sizes(self, contributions: np.ndarray) -> np.ndarray:
        """Return the importances in contributions of shape (n_outputs, n_features)."""
        if self.classes is None:
            return np.abs(contributions).mean(axis=0)
        return np.abs(contributions[self._predicted_class()])

    def _summaries(self, outputs: np.ndarray, top: int) -> list[str]:
        """Return for each row the likeliest classes with their probabilities, or values."""
        if self.classes is None:
            columns = [told_apart(column) for column in np.transpose(outputs)]
            return [", ".join(row) for row in zip(*columns, strict=True)]
        told = []
        for output in outputs:
            order = np.argsort(-output, kind="stable")[:top]
            told.append(", ".join(f"{readable(self.classes[k])}: {output[k]:.3f}" for k in order))
        return told


def plain(value: Any) -> Any:
    """Return a label or values as Python's own types."""
    return value.tolist() if hasattr(value, "tolist") else value
