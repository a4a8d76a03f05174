"""Draws groups of labelled bars to either side of a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from soft_students.explain.palette import FAINT, GREY, side_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGIN = 0.15
_LABELS = 2.4  # widths of the columns, in inches
_BARS = 2.4
_NUMBERS = 0.6
_ROW = 0.22
_TITLE = 0.3


class BarGroup(NamedTuple):
    """Bars on one scale.

    Parameters
    ----------
    title : str
    labels : list of str
    values : ndarray of shape (n,)
    """

    title: str
    labels: list[str]
    values: np.ndarray


def draw_bars(title: str, groups: Sequence[BarGroup], ax: Axes | None) -> Figure:
    """Draw groups of bars, one below the other.

    Parameters
    ----------
    title : str
    groups : sequence of BarGroup
    ax : Axes or None
        Axes to draw on. None makes a figure large enough to read.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from soft_students.explain.canvas import Canvas

    width = _LABELS + _BARS + _NUMBERS + 2 * _MARGIN
    height = 2 * _MARGIN + _TITLE + sum(_TITLE + _ROW * len(group.labels) for group in groups)
    canvas = Canvas(width, height, ax)
    canvas.text(_MARGIN, _MARGIN + 0.1, title, 10, ha="left", bold=True, width=width - 2 * _MARGIN)
    y = _MARGIN + _TITLE
    left = _MARGIN + _LABELS
    middle, end = left + _BARS / 2, left + _BARS
    for group in groups:
        canvas.text(
            _MARGIN, y + 0.1, group.title, 8, ha="left", color=GREY, width=width - 2 * _MARGIN
        )
        y += _TITLE
        n = len(group.labels)
        limit = float(np.abs(group.values).max(initial=0)) or 1.0
        tops = y + _ROW * np.arange(n)
        ends = middle + group.values / limit * (_BARS / 2)
        if n:
            canvas.box(left, y, _BARS, _ROW * n, face=FAINT, behind=True)
            canvas.bars(
                np.stack([np.full(n, middle), tops + 0.04, ends, tops + _ROW - 0.04], axis=1),
                [side_color(value) for value in group.values],
                label="contributions",
            )
            canvas.line(middle, y, middle, y + _ROW * n)
        for label, value, top in zip(group.labels, group.values, tops, strict=True):
            place = top + _ROW / 2
            canvas.text(left - 0.08, place, label, 8, ha="right", width=_LABELS - 0.1)
            canvas.text(end + 0.08, place, f"{value:+.3g}", 8, ha="left", width=_NUMBERS - 0.1)
        y += _ROW * n
    return canvas.figure
