"""A drawing surface measured in inches, on one matplotlib axes.

All pictures import this module, which raises if matplotlib is missing. It does not use pyplot,
which holds global state.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np

from soft_students.explain.palette import DIVERGING, INK, PALE

try:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.path import Path
    from matplotlib.textpath import text_to_path
except ImportError as error:
    raise ImportError(
        "Pictures need matplotlib. Install it with: pip install 'soft-students[plots]'"
    ) from error

_SMALLEST = 6.5  # points: a text that does not fit at this size is cut


class Picture(Figure):
    """A figure that notebooks display without pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=110)
        return file.getvalue()


class Canvas:
    """One axes with inches as unit and y downwards.

    Parameters
    ----------
    width, height : float
    ax : Axes, default=None
        Axes to draw on, scaled to fit. None makes a figure of this size.
    """

    def __init__(self, width: float, height: float, ax: Axes | None = None) -> None:
        self._scale = 1.0
        if ax is None:
            ax = Picture(figsize=(width, height), facecolor="white").add_axes((0, 0, 1, 1))
        else:
            room = ax.get_window_extent()
            self._scale = min(room.width / width, room.height / height) / figure_of(ax).dpi
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", autoscale_on=False)
        self.ax = ax

    @property
    def figure(self) -> Figure:
        """The figure of the axes."""
        return figure_of(self.ax)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 8,
        *,
        width: float | None = None,
        color: str = INK,
        bold: bool = False,
        ha: Literal["left", "center", "right"] = "center",
        va: Literal["top", "center", "bottom", "baseline"] = "center",
    ) -> None:
        """Write text literally, shrunk and then cut to fit into `width` inches."""
        if width is not None:
            text, size = _fitted(text, size, width, bold)
        self.ax.text(
            x,
            y,
            text,
            fontsize=size * self._scale,
            color=color,
            weight="bold" if bold else "normal",
            ha=ha,
            va=va,
            parse_math=False,
            usetex=False,
            zorder=4,
        )

    def image(
        self,
        values: np.ndarray,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        limit: float | None = None,
    ) -> None:
        """Show values in [-limit, limit] with zero white; without a limit, a grey picture."""
        self.ax.imshow(
            values,
            extent=(x, x + width, y + height, y),
            cmap=DIVERGING if limit is not None else "gray_r",
            vmin=None if limit is None else -limit,
            vmax=limit,
            origin="upper",
            interpolation="nearest",
            aspect="equal",
            zorder=2,
        )
        self.box(x, y, width, height, edge=PALE)

    def outline(self, values: np.ndarray, x: float, y: float, width: float, height: float) -> None:
        """Draw the contour of a picture midway between its lowest and highest value."""
        rows, columns = values.shape
        low, high = values.min(), values.max()
        if not low < high or min(rows, columns) < 2:
            return
        self.ax.contour(
            x + (np.arange(columns) + 0.5) * width / columns,
            y + (np.arange(rows) + 0.5) * height / rows,
            values,
            levels=[(low + high) / 2],
            colors=INK,
            linewidths=0.8 * self._scale,
            zorder=3,
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        face: str = "none",
        edge: str = "none",
        behind: bool = False,
    ) -> None:
        """Draw a rectangle, with `behind` below everything else."""
        self.ax.add_patch(
            Rectangle(
                (x, y),
                width,
                height,
                facecolor=face,
                edgecolor=edge,
                linewidth=0.6 * self._scale,
                zorder=0 if behind else 3,
            )
        )

    def bars(self, corners: np.ndarray, colors: Sequence[str], *, label: str | None = None) -> None:
        """Draw rectangles given as (left, top, right, bottom), of shape (n, 4), as one artist."""
        left, top, right, bottom = corners.T
        outlines = np.stack(
            [
                np.stack([left, top], 1),
                np.stack([right, top], 1),
                np.stack([right, bottom], 1),
                np.stack([left, bottom], 1),
            ],
            axis=1,
        )
        self.ax.add_collection(
            PolyCollection(
                list(outlines), facecolors=colors, edgecolors="none", label=label, zorder=3
            ),
            autolim=False,
        )

    def line(self, x0: float, y0: float, x1: float, y1: float, color: str = PALE) -> None:
        """Draw a thin straight line."""
        self._stroke(Path([(x0, y0), (x1, y1)]), color, 0.6)

    def branch(
        self, x0: float, y0: float, x1: float, y1: float, *, color: str, thickness: float
    ) -> None:
        """Draw a curve with vertical ends, `thickness` points wide."""
        middle = (y0 + y1) / 2
        curve = Path(
            [(x0, y0), (x0, middle), (x1, middle), (x1, y1)],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        self._stroke(curve, color, thickness, zorder=1)

    def _stroke(self, path: Path, color: str, thickness: float, zorder: int = 3) -> None:
        self.ax.add_patch(
            PathPatch(
                path,
                facecolor="none",
                edgecolor=color,
                linewidth=thickness * self._scale,
                capstyle="butt",
                zorder=zorder,
            )
        )


def figure_of(ax: Axes) -> Figure:
    """Return the top-level figure of an axes, also if the axes lies in a subfigure."""
    return ax.figure.figure  # get_figure(root=True), which matplotlib has from 3.10 on


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text, in inches."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def _fitted(text: str, size: float, width: float, bold: bool) -> tuple[str, float]:
    natural = text_width(text, size, bold)
    if natural <= width:
        return text, size
    size = max(min(size, _SMALLEST), size * width / natural)
    if text_width(text, size, bold) <= width * 1.001:
        return text, size
    low, high = 0, len(text) - 1  # the longest prefix that fits
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle] + "…", size, bold) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…", size
