"""Small charts shared by several pictures, drawn on a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from soft_students.explain.palette import FAINT, GREY, INK, LEFT, LIGHT, PALE, RIGHT, side_color

if TYPE_CHECKING:
    from soft_students.explain.canvas import Canvas

ROW = 0.19  # height of one ranked bar, in inches


def color_limit(filters: np.ndarray) -> tuple[float, bool]:
    """Return the weight of the darkest colour, and whether some weights exceed it.

    The limit is a quantile, so that a few extreme pixels do not make all others pale.
    """
    sizes = np.abs(filters)
    greatest = float(sizes.max()) or 1.0
    limit = float(np.quantile(sizes, 0.995)) or greatest
    return limit, greatest > limit


def ranked_bars(
    canvas: Canvas,
    x: float,
    y: float,
    width: float,
    values: np.ndarray,
    names: Sequence[str],
    *,
    top: int,
    limit: float,
) -> None:
    """Draw the values of largest magnitude: bars from the middle, names on the other side.

    Parameters
    ----------
    canvas : Canvas
    x, y, width : float
        Top left corner and width, in inches; the height is `ROW` per bar.
    values : ndarray of shape (n,)
    names : sequence of str
    top : int
        Number of bars.
    limit : float
        Value of a bar as long as half the width.
    """
    order = np.argsort(-np.abs(values), kind="stable")[:top]
    middle, half = x + width / 2, width / 2
    tops = y + ROW * np.arange(len(order))
    ends = middle + values[order] / limit * (half - 0.05)
    canvas.box(x, y, width, ROW * len(order), edge=PALE)
    canvas.bars(
        np.stack([np.full(len(order), middle), tops + 0.04, ends, tops + ROW - 0.04], axis=1),
        [side_color(value) for value in values[order]],
        label="weights",
    )
    canvas.line(middle, y, middle, y + ROW * len(order))
    for feature, row in zip(order, tops, strict=True):
        right = values[feature] > 0
        canvas.text(
            middle + (-0.05 if right else 0.05),
            row + ROW / 2,
            names[feature],
            8,
            width=half - 0.1,
            ha="right" if right else "left",
        )


def key(
    canvas: Canvas,
    x: float,
    y: float,
    limit: float,
    *,
    title: str,
    cut: bool | None,
) -> None:
    """Draw the legend of the colours for left and right, with the value of the darkest.

    Parameters
    ----------
    canvas : Canvas
    x, y : float
        Top left corner, in inches; the legend is 1.3 inches wide and 0.6 high.
    limit : float
        Value of the darkest colour or the longest bar.
    title : str
        Name of the quantity.
    cut : bool or None
        Whether some values exceed the limit; None for a chart of bars.
    """
    width = 1.3
    canvas.text(x, y + 0.06, title, 8, ha="left")
    canvas.text(x, y + 0.24, "← left", 7.5, color=LEFT, ha="left")
    canvas.text(x + width, y + 0.24, "right →", 7.5, color=RIGHT, ha="right")
    if cut is None:
        canvas.text(x, y + 0.42, f"longest bar: {limit:.2g}", 7, color=GREY, ha="left")
        return
    canvas.image(np.linspace(-limit, limit, 101)[None], x, y + 0.33, width, 0.1, limit=limit)
    below, above = ("≤ ", "≥ ") if cut else ("", "")
    for place, text in ((0, f"{below}−{limit:.2g}"), (0.5, "0"), (1, f"{above}{limit:.2g}")):
        canvas.text(x + place * width, y + 0.52, text, 7, color=GREY)


def column_chart(
    canvas: Canvas,
    x: float,
    y: float,
    size: tuple[float, float],
    values: np.ndarray,
    span: tuple[float, float],
    *,
    marked: int | None,
    label: str,
) -> np.ndarray:
    """Draw values as columns, and return the abscissae of their centres.

    Parameters
    ----------
    canvas : Canvas
    x, y : float
        Top left corner, in inches.
    size : tuple of float
        Width and height.
    values : ndarray of shape (n,)
    span : tuple of float
        Values at the bottom and the top, with zero between them.
    marked : int or None
        Index of the column drawn in black.
    label : str
        Label of the artist.

    Returns
    -------
    ndarray of shape (n,)
        In inches.
    """
    width, height = size
    low, high = span
    unit = height / ((high - low) or 1)
    zero = y + high * unit
    lefts = x + width / len(values) * np.arange(len(values))
    rights = lefts + 0.85 * width / len(values)
    corners = np.stack([lefts, zero - values * unit, rights, np.full(len(values), zero)], axis=1)
    colors = [INK if k == marked else LIGHT for k in range(len(values))]
    canvas.box(x - 0.02, y, width + 0.04, height, face=FAINT, behind=True)
    canvas.bars(corners, colors, label=label)
    canvas.line(x, zero, x + width, zero)
    return (lefts + rights) / 2
