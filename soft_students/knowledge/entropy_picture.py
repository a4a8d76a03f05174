"""Draws the pixel entropies of images over the training of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soft_students.knowledge.quantify import Knowledge

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_entropies(
    knowledge: Knowledge, images: np.ndarray, *, most_images: int = 6, most_checkpoints: int = 5
) -> Figure:
    """Draw images beside the difference of background entropy and pixel entropy.

    Parameters
    ----------
    knowledge : Knowledge
        From `soft_students.knowledge.quantify_knowledge`.
    images : ndarray of shape (n_images, n_features) or (n_images, ...)
        The images passed to it.
    most_images, most_checkpoints : int
        Maximum numbers drawn. The checkpoints are spread evenly from the first to the last.

    Returns
    -------
    matplotlib.figure.Figure
        One row per image: the image, then each checkpoint. The network keeps most information
        about dark pixels. The outline is that of the foreground.

    Raises
    ------
    ImportError
        If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
    ValueError
        If the inputs are not images.
    """
    from soft_students.explain.canvas import Picture

    if knowledge.foreground.ndim != 3:
        raise ValueError(
            "plot_entropies draws inputs with height and width. Got a foreground of shape "
            f"{knowledge.foreground.shape}."
        )
    shown = range(min(most_images, len(knowledge.rows)))
    last = len(knowledge.table) - 1
    checkpoints = sorted({round(i) for i in np.linspace(0, last, min(most_checkpoints, last + 1))})
    height, width = knowledge.foreground.shape[1:]
    pictures = np.asarray(images)[knowledge.rows].reshape(len(knowledge.rows), -1, height, width)
    gains = np.stack(
        [
            row["background_entropy"] - entropy
            for row, entropy in zip(knowledge.table, knowledge.entropies, strict=True)
        ]
    )
    limit = float(np.quantile(gains, 0.99))
    columns = 1 + len(checkpoints)
    figure = Picture(
        figsize=(1.1 * columns, 1.15 * len(shown) + 0.3), facecolor="white", layout="constrained"
    )
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, axes in zip(shown, grid, strict=True):
        axes[0].imshow(pictures[row].mean(axis=0), cmap="gray_r")
        for checkpoint, ax in zip(checkpoints, axes[1:], strict=True):
            ax.imshow(gains[checkpoint, row], cmap="viridis_r", vmin=0, vmax=max(limit, 1e-6))
            ax.contour(knowledge.foreground[row], levels=[0.5], colors="white", linewidths=0.6)
    for ax, checkpoint in zip(grid[0, 1:], checkpoints, strict=True):
        ax.set_title(str(knowledge.table[checkpoint]["checkpoint"]), fontsize=8)
    grid[0, 0].set_title("image", fontsize=8)
    return figure
