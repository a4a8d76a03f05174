"""The plots of a report, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np

from soft_students.evaluation import ReliabilityCurve
from soft_students.ranking import pareto_front
from soft_students.report.svg import LETTER, Scale, axes, drawing, element, label, shortened

_WIDTH, _HEIGHT = 440, 320
_ROOM = {"left": 58, "right": 18, "top": 30, "bottom": 46}
_MOST_POINTS = 1500  # in a scatter plot
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """One model in a plot of quality against cost.

    Parameters
    ----------
    name : str
    cost, quality : float
        `cost` must be above zero.
    low, high : float or None
        Interval of the quality.
    kind : {"chosen", "student", "excluded", "teacher"}
        Students beyond a limit are excluded.
    """

    name: str
    cost: float
    quality: float
    low: float | None
    high: float | None
    kind: str


def pareto_plot(points: Sequence[Point], cost: str, quality: str, percent: bool) -> str:
    """Draw quality against cost, with the cost on a logarithmic scale.

    A line joins the Pareto-optimal students; excluded students do not count.

    Parameters
    ----------
    points : sequence of Point
        At least one.
    cost, quality : str
        Titles of the axes.
    percent : bool
        Whether qualities are shown as percentages.

    Returns
    -------
    str
    """
    costs = [point.cost for point in points]
    ends = [
        end
        for point in points
        for end in (point.quality, point.low, point.high)
        if end is not None and math.isfinite(end)
    ]
    x = Scale(min(costs) / 1.35, max(costs) * 1.35, _ROOM["left"], _WIDTH - _ROOM["right"], True)
    low, high = _widened(min(ends), max(ends))
    y = Scale(low, high, _HEIGHT - _ROOM["bottom"], _ROOM["top"])
    show = _percent(y) if percent else "{:.6g}".format
    parts = axes(x, y, (cost, quality), (_brief, show))
    students = [point for point in points if point.kind in ("chosen", "student")]
    front = _front(students)
    if len(front) > 1:
        steps = [f"M{x(front[0].cost):.2f} {y(front[0].quality):.2f}"]
        steps += [f"H{x(point.cost):.2f}V{y(point.quality):.2f}" for point in front[1:]]
        parts.append(element("path", d="".join(steps), class_="front"))
    names: list[ET.Element] = []
    taken = [_around(x(point.cost), y(point.quality)) for point in points]
    for point in sorted(points, key=lambda point: point.kind == "chosen"):
        at, up = x(point.cost), y(point.quality)
        if point.low is not None and point.high is not None:
            ends_at = y(point.low), y(point.high)
            parts.append(
                element(
                    "line", x1=at, x2=at, y1=ends_at[0], y2=ends_at[1],
                    class_=f"interval {point.kind}",
                )
            )  # fmt: skip
        parts.append(_mark(at, up, point))
    for point in sorted(points, key=lambda point: point.kind != "chosen"):
        names.append(_name(x(point.cost), y(point.quality), point, taken, x, y))
    title = f"{quality} against {cost} of {len(points)} models."
    if front:
        title += f" Front: {', '.join(point.name for point in front)}."
    return drawing(_WIDTH, _HEIGHT, title, [*parts, *names])


def reliability_plot(curve: ReliabilityCurve, kind: str) -> str:
    """Draw accuracy against confidence, with a histogram of the confidence below.

    The size of a dot shows the number of rows in its bin.

    Parameters
    ----------
    curve : ReliabilityCurve
    kind : {"chosen", "teacher"}
        Model whose colour is used.

    Returns
    -------
    str
    """
    size, below = 300, 54
    x = Scale(0, 1, 46.0, 46.0 + size)
    y = Scale(0, 1, _ROOM["top"] + 0.0 + size, _ROOM["top"] + 0.0)
    base = y.start + 46 + below
    parts = axes(x, y, ("confidence", "accuracy"), ("{:.0%}".format, "{:.0%}".format))
    parts.append(element("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="ideal"))
    filled = np.flatnonzero(curve.count)
    shares = curve.count / curve.count.sum()
    places = [(x(float(curve.confidence[b])), y(float(curve.accuracy[b]))) for b in filled]
    for b, (at, up) in zip(filled, places, strict=True):
        left, right = x(float(curve.edges[b])) + 1, x(float(curve.edges[b + 1])) - 1
        tall = max(1.0, below * float(shares[b] / shares.max()))
        details = (
            f"confidence {curve.confidence[b]:.1%}, accuracy {curve.accuracy[b]:.1%}, "
            f"{_rows(int(curve.count[b]))}"
        )
        parts.append(
            element(
                "rect", element("title", text=details), x=left, y=base - tall,
                width=max(0.5, right - left), height=tall, class_=f"count {kind}",
            )
        )  # fmt: skip
        ideal = y(float(curve.confidence[b]))
        parts.append(element("line", x1=at, y1=up, x2=at, y2=ideal, class_=f"gap {kind}"))
    line = "M" + "L".join(f"{at:.2f} {up:.2f}" for at, up in places)
    parts.append(element("path", d=line, class_=f"curve {kind}"))
    for b, (at, up) in zip(filled, places, strict=True):
        radius = 2.5 + 5.5 * math.sqrt(float(shares[b]))
        parts.append(element("circle", cx=at, cy=up, r=radius, class_=f"dot {kind}"))
    parts.append(element("line", x1=x(0), y1=base, x2=x(1), y2=base, class_="grid"))
    parts.append(label(x(0), base + 15, "rows by confidence", "start", "axis"))
    title = f"Reliability. Expected calibration error {curve.error:.4f}, {len(filled)} bins."
    return drawing(x.end + 22, base + 22, title, parts)


def confusion_plot(counts: np.ndarray, classes: Sequence[str], kind: str) -> str:
    """Draw a confusion matrix.

    Parameters
    ----------
    counts : ndarray of int, shape (n_classes, n_classes)
        Number of rows by true class (rows) and predicted class (columns).
    classes : sequence of str
    kind : {"chosen", "teacher"}
        Model whose colour marks the diagonal.

    Returns
    -------
    str
    """
    n = len(classes)
    side = min(52.0, 330.0 / n)
    letters = 12 if n <= 12 else 8
    names = [shortened(name, letters) for name in classes]
    longest = max(map(len, names))
    left = 26 + LETTER * longest
    top = 34 + (LETTER * longest * 0.72 if longest > 2 else 10)
    small = min(11.5, side * 0.42)
    parts = [label(left + side * n / 2, 13, "predicted", class_="axis")]
    parts.append(
        element(
            "text", text="true", x=11, y=top + side * n / 2, text_anchor="middle", class_="axis",
            transform=f"rotate(-90 11 {top + side * n / 2:.2f})",
        )
    )  # fmt: skip
    totals = np.maximum(counts.sum(axis=1), 1)
    for i in range(n):
        middle = side * (i + 0.5)
        size = {"font_size": min(11.5, side * 0.8), "class_": "tick"}
        parts.append(
            element(
                "text", text=names[i], x=left - 6, y=top + middle + 4, text_anchor="end", **size
            )
        )
        at, up = left + middle, top - 7
        turn = {"transform": f"rotate(-45 {at:.2f} {up:.2f})"} if longest > 2 else {}
        anchor = "start" if turn else "middle"
        parts.append(element("text", text=names[i], x=at, y=up, text_anchor=anchor, **size, **turn))
        for j in range(n):
            parts.append(_cell(counts, i, j, (left, top, side, small), totals[i], classes, kind))
    right = int(np.trace(counts))
    wide = left + side * n + max(14.0, LETTER * longest * 0.72 - side * 0.5 if longest > 2 else 0)
    title = f"Confusion: {right} of {counts.sum()} rows on the diagonal."
    title += _commonest(counts, classes)
    return drawing(max(wide, 200.0), top + side * n + 10, title, parts)


def values_plot(truth: np.ndarray, predicted: np.ndarray, kind: str) -> str:
    """Draw predicted against true values.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_samples,)
        Evenly spaced rows are drawn if there are more than 1500.
    kind : {"chosen", "teacher"}

    Returns
    -------
    str
    """
    every = math.ceil(len(truth) / _MOST_POINTS)
    low, high = _widened(
        float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))
    )
    x, y = Scale(low, high, 58.0, 378.0), Scale(low, high, 350.0, 30.0)
    show = "{:.6g}".format
    parts = axes(x, y, ("true", "predicted"), (show, show))
    parts.append(element("line", x1=x(low), y1=y(low), x2=x(high), y2=y(high), class_="ideal"))
    pairs = zip(truth[::every].tolist(), predicted[::every].tolist(), strict=True)
    dots = "".join(f"M{x(true):.1f} {y(found):.1f}h0" for true, found in pairs)
    parts.append(element("path", d=dots, class_=f"cloud {kind}"))
    shown = len(truth[::every])
    return drawing(396, 396, f"Predicted against true values of {shown} rows.", parts)


def _front(students: Sequence[Point]) -> list[Point]:
    if not students:
        return []
    kept = pareto_front([(point.cost, point.quality) for point in students], [False, True])
    front = [point for point, keep in zip(students, kept, strict=True) if keep]
    return sorted(front, key=lambda point: (point.cost, point.quality))


def _widened(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _percent(scale: Scale) -> Callable[[float], str]:
    whole = all(abs(tick * 100 - round(tick * 100)) < 1e-6 for tick in scale.ticks())
    return "{:.0%}".format if whole else "{:.1%}".format


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"


def _brief(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:,.6g} {letter}"
    return f"{value:,.6g}"


def _mark(at: float, up: float, point: Point) -> ET.Element:
    details = element("title", text=f"{point.name}: {point.quality:.4g}, {point.cost:,.6g}")
    if point.kind == "teacher":
        around = f"M{at:.2f} {up - 7:.2f}l7 7l-7 7l-7 -7z"
        return element("path", details, d=around, class_="dot teacher")
    radius = 7 if point.kind == "chosen" else 5
    return element("circle", details, cx=at, cy=up, r=radius, class_=f"dot {point.kind}")


def _around(at: float, up: float) -> Box:
    return at - 7, up - 7, at + 7, up + 7


def _name(at: float, up: float, point: Point, taken: list[Box], x: Scale, y: Scale) -> ET.Element:
    """Return the name beside its mark, where it covers least of `taken`, to which it is added."""
    text = shortened(point.name, 24)
    wide = LETTER * len(text)
    places = [
        (at + 11, up + 4, "start"),
        (at - 11, up + 4, "end"),
        (at + 8, up - 11, "start"),
        (at - 8, up - 11, "end"),
        (at + 8, up + 19, "start"),
        (at - 8, up + 19, "end"),
    ]

    def box(place: tuple[float, float, str]) -> Box:
        left = place[0] if place[2] == "start" else place[0] - wide
        return left, place[1] - 10, left + wide, place[1] + 3

    def covered(place: tuple[float, float, str]) -> float:
        left, top, right, bottom = box(place)
        outside = max(0.0, x.start - left) + max(0.0, right - x.end)
        outside += max(0.0, y.end - top) + max(0.0, bottom - y.start)
        return 100 * outside + sum(
            max(0.0, min(right, r) - max(left, le)) * max(0.0, min(bottom, b) - max(top, t))
            for le, t, r, b in taken
        )

    best = min(places, key=covered)
    taken.append(box(best))
    return label(*best[:2], text, best[2], f"name {point.kind}")


def _cell(
    counts: np.ndarray,
    i: int,
    j: int,
    place: tuple[float, float, float, float],
    total: int,
    classes: Sequence[str],
    kind: str,
) -> ET.Element:
    left, top, side, small = place
    count = int(counts[i, j])
    details = f"true {classes[i]}, predicted {classes[j]}: {_rows(count)}"
    at, up = left + side * j, top + side * i
    share = count / total
    whose = f"right {kind}" if i == j else "wrong"
    strength = 0.62 * share if i == j else min(0.75, 0.95 * math.sqrt(share))
    cell = element(
        "g",
        element("title", text=details),
        element("rect", x=at, y=up, width=side, height=side, class_="cell"),
    )
    if count:
        cell.append(
            element(
                "rect", x=at, y=up, width=side, height=side, class_=whose,
                fill_opacity=max(0.05, strength),
            )
        )  # fmt: skip
        if side >= 15:
            cell.append(
                element(
                    "text", text=str(count), x=at + side / 2, y=up + side / 2 + small * 0.36,
                    text_anchor="middle", font_size=small,
                )
            )  # fmt: skip
    return cell


def _commonest(counts: np.ndarray, classes: Sequence[str]) -> str:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return ""
    i, j = divmod(int(wrong.argmax()), len(wrong))
    return f" Commonest error: {classes[i]} predicted as {classes[j]}, {_rows(int(wrong[i, j]))}."
