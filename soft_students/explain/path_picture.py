"""Draws the path of one row through a soft tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soft_students.explain.charts import ROW, color_limit, ranked_bars
from soft_students.explain.followed_path import FollowedPath
from soft_students.explain.palette import FAINT, GREY, INK, LEFT, LIGHT, PALE, RIGHT, side_color
from soft_students.explain.tree_view import TreeView, readable
from soft_students.numerals import fixed, format_of, numeral, told_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from soft_students.explain.canvas import Canvas

_MARGIN = 0.15
_HEAD = 0.3  # height of the text above a gate
_IMAGE = 1.15  # side of the square into which a filter fits
_BARS = 2.3  # width of ranked contributions
_BETWEEN = 0.14  # from a gate to the next one, and from a filter to its product
_HEADINGS = 1.3  # width of the headings at the left
_LINES = 1.02  # height of the numbers under a gate
_NAMES = (0.35, 1.1)  # minimum and maximum width of the class names
_OUTPUTS = 0.95  # width of each of the two bar charts beside them
_MOST_OUTPUTS = 12
_NOTE = 0.22  # height of the line at the foot


def draw_path(path: FollowedPath, top: int, ax: Axes | None) -> Figure:
    """Draw the path of an explanation; `top` and `ax` as for `plot_path`."""
    from soft_students.explain.canvas import Canvas

    picture = _PathPicture(path.view, path, min(top, len(path.feature_names)))
    canvas = Canvas(picture.width, picture.height, ax)
    picture.draw(canvas)
    return canvas.figure


class _PathPicture:
    def __init__(self, view: TreeView, path: FollowedPath, top: int) -> None:
        self.view, self.path, self.top = view, path, top
        self.limit, self.cut = color_limit(path.weights)
        self.push_limit = float(np.abs(path.contributions).max()) or 1.0
        if view.image_shape is None:
            self.gate = (_BARS, ROW * top)
            self.numbers_y = _MARGIN + _HEAD + self.gate[1] + 0.15
            headings = _HEADINGS
        else:
            channels, height, width = view.image_shape
            unit = _IMAGE / max(height, width)
            self.gate = (unit * width * channels, unit * height)
            self.numbers_y = _MARGIN + _HEAD + 2 * self.gate[1] + _BETWEEN + 0.15
            headings = max(_HEADINGS, self.gate[0])
        self.start = _MARGIN + headings + 0.15
        self.end = self.start + len(path.activations) * (self.gate[0] + _BETWEEN) + 0.15
        sizes = np.maximum(np.abs(path.leaf_output), np.abs(path.mean_output))
        # The largest outputs, in their own order.
        self.outputs = np.sort(np.argsort(-sizes, kind="stable")[:_MOST_OUTPUTS])
        self.names = [self._output_name(k) for k in self.outputs]
        longest = max(map(len, self.names))
        self.names_width = min(max(_NAMES[0], 0.1 + 0.085 * longest), _NAMES[1])
        self.width = self.end + self.names_width + 2 * _OUTPUTS + _MARGIN
        outputs = _MARGIN + _HEAD + 0.35 + 0.21 * len(self.outputs)
        self.height = max(self.numbers_y + _LINES, outputs) + _NOTE + _MARGIN

    def draw(self, canvas: Canvas) -> None:
        self._row(canvas)
        for place in range(len(self.path.activations)):
            self._gate(canvas, place)
        self._outputs(canvas)
        note = "Orange pushes to the left child, purple to the right one."
        if self.view.image_shape is not None:
            beyond = " and beyond" if self.cut else ""
            note += (
                f" Darkest: ±{self.limit:.2g}{beyond} in filters, ±{self.push_limit:.2g} in "
                "products, whose sum and a bias are the activation."
            )
        else:
            note += f" Longest bar: ±{self.push_limit:.2g}."
        room = self.width - 2 * _MARGIN
        canvas.text(_MARGIN, self.height - 0.17, note, 7.5, color=GREY, ha="left", width=room)

    def _row(self, canvas: Canvas) -> None:
        """Draw the row itself and the headings of the lines."""
        right, y = self.start - 0.12, _MARGIN + _HEAD
        centred = "" if self.view.offset is None else " − mean"
        if self.view.image_shape is None:
            heading = f"weight × (value{centred})" if centred else "weight × value"
            y += self.gate[1] / 2
        else:
            width, height = self.gate
            image = self.view.images(self.path.row[None])[0]
            if self.view.image_shape[0] == 3 and image.min() >= 0 and image.max() <= 1:
                width /= 3
                image = self.path.row.reshape(self.view.image_shape).transpose(1, 2, 0)
            canvas.text(right - width / 2, y - 0.1, "row", 9, bold=True, width=width)
            canvas.image(image, right - width, y, width, height)
            heading = f"filter × (row{centred})" if centred else "filter × row"
            y += 1.5 * height + _BETWEEN
        canvas.text(right, y, heading, 8, ha="right", color=GREY, width=right - _MARGIN)
        headings = ("activation", "left | right", "path so far")
        for line, heading in zip((0.05, 0.38, 0.8), headings, strict=True):
            canvas.text(right, self.numbers_y + line, heading, 8, ha="right", color=GREY)

    def _gate(self, canvas: Canvas, place: int) -> None:
        path, (width, height) = self.path, self.gate
        x, y = self.start + place * (width + _BETWEEN), _MARGIN + _HEAD
        centre = x + width / 2
        canvas.text(centre, y - 0.1, f"node {path.nodes[place]}", 9, bold=True, width=width)
        if self.view.image_shape is None:
            names = [
                f"{name} = {numeral(value, 3)}"
                for name, value in zip(self.view.feature_names, path.row, strict=True)
            ]
            pushes, limit = path.contributions[place], self.push_limit
            ranked_bars(canvas, x, y, width, pushes, names, top=self.top, limit=limit)
        else:
            images = self.view.images(np.stack([path.weights[place], path.contributions[place]]))
            canvas.image(images[0], x, y, width, height, limit=self.limit)
            canvas.outline(self.view.images(path.row[None])[0], x, y, width, height)
            y += height + _BETWEEN
            canvas.image(images[1], x, y, width, height, limit=self.push_limit)
        self._numbers(canvas, place, x, self.numbers_y)

    def _numbers(self, canvas: Canvas, place: int, x: float, y: float) -> None:
        """Draw the activation, the branch and the path probability under a gate."""
        path, width, centre = self.path, self.gate[0], x + self.gate[0] / 2
        activation, taken = path.activations[place], path.probabilities[place]
        signed = f"{activation:+{format_of([activation], 2)}}".replace("-", "−")
        canvas.text(centre, y + 0.05, signed, 10, color=side_color(activation))
        right = bool(path.went_right[place])
        split = x + width * (1 - taken if right else taken)
        canvas.bars(
            np.array([[x, y + 0.22, split, y + 0.34], [split, y + 0.22, x + width, y + 0.34]]),
            [PALE if right else LEFT, RIGHT if right else PALE],
            label="branch",
        )
        branch = f"right {taken:.3f}" if right else f"left {taken:.3f}"
        canvas.text(centre, y + 0.44, branch, 9, bold=True, color=RIGHT if right else LEFT)
        so_far = path.path_probabilities[place + 1]
        canvas.box(x, y + 0.65, width, 0.12, face=FAINT, behind=True)
        reached = np.array([[x, y + 0.65, x + width * so_far, y + 0.77]])
        canvas.bars(reached, [LIGHT], label="path")
        canvas.text(centre, y + 0.87, fixed(so_far, 3), 9)

    def _outputs(self, canvas: Canvas) -> None:
        """Draw the output of the leaf beside the mean of all leaves."""
        path, y = self.path, _MARGIN + _HEAD
        names, width = self.names_width, _OUTPUTS
        room = names + 2 * width
        title = f"predicts {readable(self._prediction())}"
        canvas.text(self.end + room / 2, y - 0.1, title, 11, bold=True, width=room)
        outputs = (path.leaf_output, path.mean_output)
        low, high = 0.0, 1.0
        if path.classes is None:
            low = min(0.0, *(float(output.min()) for output in outputs))
            high = max(0.0, *(float(output.max()) for output in outputs))
        unit = (width - 0.42) / ((high - low) or 1)
        for column, (title, output) in enumerate(
            zip((f"leaf {path.leaf}", "all leaves"), outputs, strict=True)
        ):
            x = self.end + names + column * width
            best = None if path.classes is None else int(output.argmax())
            canvas.text(x, y + 0.15, title, 8, ha="left", color=GREY, width=width - 0.05)
            zero = x - low * unit
            tops = y + 0.3 + 0.21 * np.arange(len(self.outputs))
            shown = output[self.outputs]
            corners = np.stack(
                [np.full(len(tops), zero), tops + 0.03, zero + shown * unit, tops + 0.18], axis=1
            )
            colors = [INK if k == best else LIGHT for k in self.outputs]
            canvas.bars(corners, colors, label=title)
            canvas.line(zero, tops[0], zero, tops[-1] + 0.21)
            texts = told_apart(shown, 3) if path.classes is None else map("{:.2f}".format, shown)
            for value, text, top in zip(shown, texts, tops, strict=True):
                if path.classes is None or value >= 0.005:
                    place = zero + max(value, 0) * unit + 0.04
                    canvas.text(place, top + 0.11, text, 7, ha="left")
        for k, name, top in zip(self.outputs, self.names, tops, strict=True):
            bold = path.classes is not None and k == int(path.mean_output.argmax())
            canvas.text(
                self.end + names - 0.08,
                top + 0.11,
                name,
                9,
                ha="right",
                bold=bold,
                width=names - 0.1,
            )

    def _output_name(self, k: int) -> str:
        if self.view.labels is not None:
            return self.view.labels[k]
        return "value" if len(self.path.leaf_output) == 1 else f"output {k}"

    def _prediction(self) -> str:
        value = self.path.prediction
        return numeral(value) if self.path.classes is None and np.ndim(value) == 0 else str(value)
