"""Draws a soft tree: filters, branches and leaves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.explain.charts import ROW, color_limit, column_chart, key, ranked_bars
from soft_students.explain.palette import GREY, LEFT, RIGHT
from soft_students.explain.tree_view import TreeView, check_int, level_of, view_tree
from soft_students.numerals import told_apart
from soft_students.students.soft_tree.base import BaseSoftDecisionTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from soft_students.explain.canvas import Canvas

_DEEPEST = 8  # levels of gates in one picture: 256 leaves are 19 m of paper
_MARGIN = 0.15
_SLOT = 0.76  # inches from leaf to leaf
_CHART = (0.62, 0.5)  # width and height of a leaf's bars
_GATE = 1.06  # side of the square into which a filter fits
_BARS = 2.1  # width of ranked weights
_ABOVE = 0.36  # height of the text above a gate
_GAP = 0.62  # from a gate down to the next level
_WIDEST = 11.0  # width of a branch that all rows take, in points
_RARE = 0.1  # leaves with a smaller fraction of an even share of the rows are left out above gates
_CLASSES = 11  # points
_SHORTEST = 4  # letters that remain of a shortened class name
_MOST_TICKS = 12


def plot_tree(
    student: BaseSoftDecisionTree,
    *,
    X: Any = None,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
    root: int = 0,
    max_depth: int = 4,
    top: int = 5,
    ax: Axes | None = None,
) -> Figure:
    r"""Draw a soft tree: the filter of every gate and the output of every leaf.

    A gate shows its weights β w as an image, or the largest of them as bars, on one scale for all
    gates: purple pushes right, orange left. Above it are the likeliest classes of the leaves below
    (in regression, the range of their values). A leaf shows its distribution and, in large type,
    its likeliest class.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    X : array-like of shape (n_samples, n_features), default=None
        Rows. The width of a branch is then the mean probability of taking it, and nodes show this
        share as a number. The classes above gates leave out leaves with less than a tenth of an
        even share. Weights are multiplied by the feature's standard deviation, so that features
        with different units compare; for images only if the student was trained with
        ``standardize=True``.
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of the image in each row; channels are drawn
        side by side. None: that of the student's
        :class:`~soft_students.transfer.ImageDistortion`, if it has one and `feature_names` is None;
        otherwise bars are drawn.
    feature_names : iterable of str, default=None
        None: the names seen in fit, or positions.
    root : int, default=0
        Number of the gate at the top. Node ``i`` has the children ``2i + 1`` and ``2i + 2``.
    max_depth : int, default=4
        Levels of gates drawn, from 1 to 8. Each subtree below is drawn as one leaf with the mean
        distribution of its leaves, weighted by path probability if `X` is given.
    top : int, default=5
        Number of bars at each gate.
    ax : matplotlib.axes.Axes, default=None
        Axes to draw on. None makes a figure large enough to read.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
    TypeError
        If `student` is not a soft tree.
    sklearn.exceptions.NotFittedError
    ValueError
        If a parameter does not match the student.

    References
    ----------
    Frosst and Hinton (2017), "Distilling a neural network into a soft decision tree",
    arXiv:1711.09784, figure 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.explain import plot_tree
    >>> X, y = load_digits(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=5, random_state=0).fit(X, y)
    >>> figure = plot_tree(student, X=X, image_shape=(8, 8))
    >>> figure.savefig("tree.png")  # doctest: +SKIP
    """
    from soft_students.explain.canvas import Canvas

    view = view_tree(student, image_shape=image_shape, feature_names=feature_names)
    layout = _layout(
        view,
        root=check_int("plot_tree", "root", root, 0, view.n_gates - 1),
        max_depth=check_int("plot_tree", "max_depth", max_depth, 1, _DEEPEST),
        top=check_int("plot_tree", "top", top, 1, None),
    )
    reach = spread = None
    if X is not None:
        reach = student.node_statistics(X)["reach"]
        spread = student._checked(X).std(axis=0, dtype=np.float64)
    canvas = Canvas(layout.width, layout.height, ax)
    _TreePicture(view, canvas, layout, reach, spread).draw()
    return canvas.figure


@dataclass(frozen=True)
class _Layout:
    """Layout of the picture, in inches."""

    root: int
    levels: int
    top: int
    slot: float
    gate: tuple[float, float]
    width: float
    height: float

    @property
    def level_height(self) -> float:
        return _ABOVE + self.gate[1] + _GAP

    def nodes(self, level: int) -> range:
        """Return the nodes of a level, counted from the root of the picture."""
        first = (self.root + 1) * 2**level - 1
        return range(first, first + 2**level)

    def centre(self, level: int, place: int) -> float:
        """Return the abscissa of the node at a place of a level."""
        return _MARGIN + (place + 0.5) * self.slot * 2 ** (self.levels - level)

    def top_of(self, level: int) -> float:
        return _MARGIN + level * self.level_height


def _layout(view: TreeView, *, root: int, max_depth: int, top: int) -> _Layout:
    levels = min(max_depth, view.depth - level_of(root))
    if view.image_shape is None:
        gate = (_BARS, ROW * min(top, len(view.feature_names)))
    else:
        channels, height, width = view.image_shape
        unit = _GATE / max(height, width)
        gate = (unit * width * channels, unit * height)
    # The lowest gates are two slots apart, and the legend beside the root needs space.
    slot = max(_SLOT, (gate[0] + 0.3) / 2, (gate[0] + 3.6) / 2**levels)
    leaf = _CHART[1] + (0.7 if level_of(root) + levels < view.depth else 0.57)
    return _Layout(
        root=root,
        levels=levels,
        top=top,
        slot=slot,
        gate=gate,
        width=2 * _MARGIN + slot * 2**levels,
        height=2 * _MARGIN + levels * (_ABOVE + gate[1] + _GAP) + leaf,
    )


class _TreePicture:
    def __init__(
        self,
        view: TreeView,
        canvas: Canvas,
        layout: _Layout,
        reach: np.ndarray | None,
        spread: np.ndarray | None,
    ) -> None:
        self.view, self.canvas, self.layout, self.reach = view, canvas, layout, reach
        self.gates = [node for level in range(layout.levels) for node in layout.nodes(level)]
        shown = view.weights[self.gates]
        # Pixels share a unit, but not the weights of gates trained on standardised features.
        self.scaled = spread is not None and (view.image_shape is None or view.offset is not None)
        if self.scaled:
            shown = shown * spread
        self.weights = dict(zip(self.gates, shown, strict=True))
        self.cut: bool | None = None
        if view.image_shape is None:
            self.limit = float(np.abs(shown).max()) or 1.0
        else:
            self.limit, self.cut = color_limit(shown)

    def draw(self) -> None:
        layout = self.layout
        self._key()
        for level in range(layout.levels):
            for place, node in enumerate(layout.nodes(level)):
                self._branches(level, place, node)
                self._gate(level, place, node)
        leaves = layout.nodes(layout.levels)
        self.values = told_apart([self._output(node)[0] for node in leaves], 3, most=6)
        for place, node in enumerate(leaves):
            self._leaf(place, node)

    # -- texts and outputs of nodes ---------------------------------------------------------------

    def _share(self, node: int) -> str:
        if self.reach is None:
            return f"node {node}"
        percent = 100 * self.reach[node]
        shown = (
            "<0.1" if 0 < percent < 0.1 else f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"
        )
        return f"{node} · {shown}%"

    def _below(self, node: int, room: float) -> str:
        """Return the classes, or the range of values, that the leaves under a node predict."""
        under = self.view.leaves_under(node)
        outputs = self.view.leaf_outputs[under]
        if self.view.labels is None:
            if outputs.shape[1] > 1:
                return ""
            return " … ".join(told_apart([outputs.min(), outputs.max()], 3))
        if self.reach is not None:
            shares = self.reach[self.view.n_gates :]
            often = shares[under] >= _RARE / len(shares)
            outputs = outputs[often] if often.any() else outputs
        classes = np.unique(outputs.argmax(axis=1))
        names = [self.view.labels[k] for k in classes]
        return _shortened(names, room)

    def _output(self, node: int) -> np.ndarray:
        """Return the output of a leaf, or the mean output of the leaves under a node."""
        under = self.view.leaves_under(node)
        outputs = self.view.leaf_outputs[under]
        shares = None if self.reach is None else self.reach[self.view.n_gates :][under]
        if shares is None or not shares.sum() > 0:
            return outputs.mean(axis=0)
        return np.average(outputs, axis=0, weights=shares)

    # -- drawing ----------------------------------------------------------------------------------

    def _gate(self, level: int, place: int, node: int) -> None:
        layout, canvas = self.layout, self.canvas
        width, height = layout.gate
        centre, y = layout.centre(level, place), layout.top_of(level)
        room = 2 ** (layout.levels - level) * layout.slot - 0.25
        canvas.text(centre, y + 0.1, self._below(node, room), _CLASSES, width=room, bold=True)
        canvas.text(centre, y + 0.27, self._share(node), 7, color=GREY, width=room)
        y += _ABOVE
        x = centre - width / 2
        weights = self.weights[node]
        if self.view.image_shape is None:
            names, top = self.view.feature_names, layout.top
            ranked_bars(canvas, x, y, width, weights, names, top=top, limit=self.limit)
        else:
            image = self.view.images(weights[None])[0]
            canvas.image(image, x, y, width, height, limit=self.limit)

    def _branches(self, level: int, place: int, node: int) -> None:
        layout = self.layout
        x, y = layout.centre(level, place), layout.top_of(level) + _ABOVE + layout.gate[1]
        for side, color in ((0, LEFT), (1, RIGHT)):
            thickness = 1.5
            if self.reach is not None:
                thickness = max(0.5, _WIDEST * float(self.reach[2 * node + 1 + side]))
            self.canvas.branch(
                x + (side - 0.5) * layout.gate[0] / 3,
                y,
                layout.centre(level + 1, 2 * place + side),
                layout.top_of(level + 1) - 0.02,
                color=color,
                thickness=thickness,
            )

    def _leaf(self, place: int, node: int) -> None:
        layout, canvas, view = self.layout, self.canvas, self.view
        output, labels = self._output(node), view.labels
        centre, y = layout.centre(layout.levels, place), layout.top_of(layout.levels)
        room = layout.slot - 0.06
        best = None if labels is None else int(output.argmax())
        span = 0.0, 1.0
        if labels is None:
            span = min(0.0, view.leaf_outputs.min()), max(0.0, view.leaf_outputs.max())
        columns = column_chart(
            canvas,
            centre - _CHART[0] / 2,
            y,
            _CHART,
            output,
            span,
            marked=best,
            label=f"leaf {node}",
        )
        y += _CHART[1]
        if labels is not None and best is not None:
            if len(labels) <= _MOST_TICKS and max(map(len, labels)) == 1:
                for column, label in zip(columns, labels, strict=True):
                    canvas.text(column, y + 0.07, label, 6, color=GREY)
            canvas.text(centre, y + 0.29, labels[best], 20, width=room, bold=True)
        elif len(output) == 1:
            canvas.text(centre, y + 0.25, self.values[place], 13, width=room, bold=True)
        canvas.text(centre, y + 0.5, self._share(node), 7, color=GREY, width=room)
        if node < view.n_gates:
            under = view.leaves_under(node)
            text = f"⋯ {under.stop - under.start} leaves"
            canvas.text(centre, y + 0.63, text, 7, color=GREY, width=room)

    def _key(self) -> None:
        # Below the root's classes, which may take the whole width.
        x, y = _MARGIN + 0.25, _MARGIN + _ABOVE
        title = "gate weight × deviation" if self.scaled else "gate weight"
        key(self.canvas, x, y, self.limit, title=title, cut=self.cut)
        if self.reach is not None:
            self.canvas.text(x, y + 0.72, "node · share of rows", 7, color=GREY, ha="left")


def _shortened(names: list[str], room: float) -> str:
    """Join names, with the longest ones cut until all fit at 0.8 of the font size."""
    from soft_students.explain.canvas import text_width

    separator = " " if all(len(name) == 1 for name in names) else ", "

    def joined(length: int) -> str:
        return separator.join(
            name if len(name) <= length else name[: length - 1].rstrip() + "…" for name in names
        )

    def fits(length: int) -> bool:
        return text_width(joined(length), 0.8 * _CLASSES, bold=True) <= room

    longest = max(map(len, names))
    if longest <= _SHORTEST or fits(longest):
        return joined(longest)
    lengths = range(_SHORTEST, longest)
    return joined(lengths[max(0, bisect_left(lengths, True, key=lambda n: not fits(n)) - 1)])
