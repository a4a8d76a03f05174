"""Draws the loss over the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from soft_students.explain.palette import INK, LEFT, RIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_learning_curves(student: Any, *, ax: Axes | None = None) -> Figure:
    """Draw the training loss of each epoch, and the validation loss with early stopping.

    Parameters
    ----------
    student : estimator, or mapping of str to estimator
        Fitted, with the attribute ``loss_curve_``; optional ``validation_curve_`` is drawn and
        ``best_iter_`` marked. A mapping compares the training losses of several students.
    ax : matplotlib.axes.Axes, default=None
        Axes to draw on. None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
    sklearn.exceptions.NotFittedError
    ValueError
        If a student has no loss curve, as after `partial_fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.explain import plot_learning_curves
    >>> X, y = load_iris(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=20, random_state=0).fit(X, y)
    >>> figure = plot_learning_curves(student)
    >>> figure.savefig("curves.png")  # doctest: +SKIP
    """
    from soft_students.explain.canvas import Picture, figure_of

    several = isinstance(student, Mapping)
    losses = {
        name: _loss_curve(one) for name, one in (student if several else {"": student}).items()
    }
    if ax is None:
        ax = Picture(figsize=(5, 3.2), facecolor="white", layout="constrained").add_subplot()
    if several:
        for name, loss in losses.items():
            ax.plot(np.arange(1, len(loss) + 1), loss, label=name)
        ax.set(ylabel="training loss, with penalty", yscale="log")
        ax.legend(frameon=False)
    else:
        _draw_one(student, losses[""], ax)
    ax.set_xlabel("epoch")
    ax.spines[["top", "right"]].set_visible(False)
    ax.locator_params(axis="x", integer=True)
    return figure_of(ax)


def _loss_curve(student: Any) -> list[float]:
    check_is_fitted(student)
    loss = getattr(student, "loss_curve_", None)
    if not loss:
        raise ValueError(
            f"This {type(student).__name__} has no loss curve: partial_fit does not record one. "
            "Train it with fit."
        )
    return loss


def _draw_one(student: Any, loss: list[float], ax: Axes) -> None:
    epochs = np.arange(1, len(loss) + 1)
    ax.plot(epochs, loss, color=RIGHT, label="training, with penalty")
    validation = getattr(student, "validation_curve_", None)
    best = getattr(student, "best_iter_", None)
    if validation:
        ax.plot(epochs, validation, color=LEFT, linestyle="--", label="validation")
        if best is not None:
            at = (best + 1, validation[best])
            ax.plot(*at, "o", color=INK, markersize=5, label=f"kept: epoch {at[0]}")
        ax.legend(frameon=False)
    ax.set_ylabel("loss" if validation else "training loss, with penalty")
