"""The drawings of a report: to scale, well-formed, whatever the names and values."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from soft_students.evaluation import reliability_curve
from soft_students.report.plots import (
    Point,
    confusion_plot,
    pareto_plot,
    reliability_plot,
    values_plot,
)
from soft_students.report.svg import Scale, element

EVIL = '<script>alert("1")</script>&\u202e\x00'

POINTS = [
    Point("teacher", 1000, 0.99, 0.98, 1.0, "teacher"),
    Point("small", 10, 0.90, 0.88, 0.92, "chosen"),
    Point("large", 100, 0.95, None, None, "student"),
    Point("worse", 100, 0.85, 0.8, 0.9, "student"),
]


def classed(svg, name):
    return [each for each in ET.fromstring(svg).iter() if name in each.get("class", "").split()]


def numbers(each, *names):
    return [float(each.get(name)) for name in names]


def told(each):
    return each.find("title").text


def test_points_are_to_scale():
    svg = pareto_plot(POINTS, "bytes", "accuracy", percent=True)
    dots = {told(each).split(":")[0]: each for each in classed(svg, "dot")}
    assert set(dots) == {point.name for point in POINTS}
    (x0, y0), (x1, y1), (x2, y2) = (
        numbers(dots[name], "cx", "cy") for name in ("small", "large", "worse")
    )
    assert x1 == x2 > x0
    assert y1 < y0 < y2  # y points down
    assert y0 - y1 == pytest.approx(y2 - y0, abs=0.03)  # .95 and .85 are as far from .90
    x3 = float(dots["teacher"].get("d")[1:].split()[0])
    assert x3 - x1 == pytest.approx(x1 - x0, abs=0.03)  # ten times as much each


def test_intervals_and_ticks_share_the_scale_of_the_points():
    svg = pareto_plot(POINTS, "bytes", "accuracy", percent=True)
    ticks = {
        each.text: float(each.get("y")) - 4
        for each in classed(svg, "tick")
        if each.text.endswith("%")
    }
    (chosen,) = [each for each in classed(svg, "interval") if "chosen" in each.get("class")]
    low, high = numbers(chosen, "y1", "y2")
    unit = (ticks["80%"] - ticks["100%"]) / 0.2
    assert (low - high) / unit == pytest.approx(0.04, abs=1e-3)
    assert (ticks["80%"] - low) / unit == pytest.approx(0.08, abs=1e-3)
    assert len(classed(svg, "interval")) == 3  # of one model none is known


def test_the_line_joins_students_that_no_other_beats():
    (line,) = classed(pareto_plot(POINTS, "bytes", "accuracy", percent=True), "front")
    assert line.get("d").count("H") == 1  # from small to large; worse and teacher are off it
    best = Point("best", 5, 0.96, None, None, "excluded")
    (same,) = classed(pareto_plot([*POINTS, best], "bytes", "accuracy", percent=True), "front")
    assert same.get("d").count("H") == 1  # beyond a limit nobody is to be taken
    svg = pareto_plot(POINTS[:2], "bytes", "accuracy", percent=True)
    assert classed(svg, "front") == []


def test_a_single_model_without_interval():
    svg = pareto_plot([Point("one", 5, -2.5, None, None, "chosen")], "bytes", "R²", percent=False)
    (dot,) = classed(svg, "dot")
    assert all(0 < place < 440 for place in numbers(dot, "cx", "cy"))


@pytest.mark.parametrize("scale", [Scale(3, 11, 20, 220), Scale(3, 11, 220, 20)])
def test_a_scale_is_linear(scale):
    assert [scale(v) for v in (3, 7, 11)] == [scale.start, 120, scale.end]
    assert scale.ticks() == [4, 6, 8, 10]


@pytest.mark.parametrize(("low", "high"), [(1, 1.2), (80, 90), (1e-4, 3e7), (7, 8e5)])
def test_logarithmic_ticks_are_few_and_inside(low, high):
    scale = Scale(low, high, 0, 100, log=True)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 6
    assert all(-1 < scale(tick) < 101 for tick in ticks)


def test_reliability_is_that_of_the_curve():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), size=200)
    curve = reliability_curve(proba, rng.integers(3, size=200))
    svg = reliability_plot(curve, "teacher")
    ((ideal,), dots) = classed(svg, "ideal"), classed(svg, "dot")
    x0, y0, x1, y1 = numbers(ideal, "x1", "y1", "x2", "y2")
    filled = np.flatnonzero(curve.count)
    places = np.array([numbers(dot, "cx", "cy") for dot in dots])
    np.testing.assert_allclose(
        (places[:, 0] - x0) / (x1 - x0), curve.confidence[filled], rtol=0, atol=1e-3
    )
    np.testing.assert_allclose(
        (places[:, 1] - y0) / (y1 - y0), curve.accuracy[filled], rtol=0, atol=1e-3
    )
    bars = classed(svg, "count")
    heights = np.array([numbers(bar, "height")[0] for bar in bars])
    counts = curve.count[filled]
    np.testing.assert_allclose(heights, np.maximum(1, 54 * counts / counts.max()), atol=0.01)
    assert told(bars[0]).endswith(f", {counts[0]} rows")
    assert f"error {curve.error:.4f}" in ET.fromstring(svg).get("aria-label")


def test_a_model_that_is_always_sure_has_one_dot():
    curve = reliability_curve(np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 1])
    svg = reliability_plot(curve, "chosen")
    (dot,) = classed(svg, "dot")
    (ideal,) = classed(svg, "ideal")
    assert float(dot.get("cx")) == float(ideal.get("x2"))


def test_confusion_counts_and_shades():
    counts = np.array([[5, 3, 0], [0, 8, 0], [1, 0, 0]])
    svg = confusion_plot(counts, ["a", "b", "c"], "chosen")
    cells = list(ET.fromstring(svg).iter("g"))
    said = {told(cell): [each.text for each in cell.iter("text")] for cell in cells}
    assert len(said) == 9
    for i, j in np.ndindex(3, 3):
        rows = "1 row" if counts[i, j] == 1 else f"{counts[i, j]} rows"
        name = f"true {'abc'[i]}, predicted {'abc'[j]}: {rows}"
        assert said[name] == ([str(counts[i, j])] if counts[i, j] else [])
    assert len(classed(svg, "right")) == 2
    wrong = [float(each.get("fill-opacity")) for each in classed(svg, "wrong")]
    assert len(wrong) == 2
    assert wrong[0] < wrong[1]  # 3 of 8 rows, and 1 of 1
    assert "a predicted as b, 3 rows" in ET.fromstring(svg).get("aria-label")


def test_thirty_classes_are_cells_without_figures():
    svg = confusion_plot(np.eye(30, dtype=int) * 4, [f"class {k}" for k in range(30)], "teacher")
    assert len(list(ET.fromstring(svg).iter("g"))) == 900
    assert "Commonest" not in ET.fromstring(svg).get("aria-label")


def test_values_are_to_scale_and_not_too_many():
    truth = np.linspace(-1, 1, 4001)
    (cloud,) = classed(svg := values_plot(truth, truth**2, "chosen"), "cloud")
    places = np.array([p.removesuffix("h0").split() for p in cloud.get("d")[1:].split("M")], float)
    assert 1000 < len(places) <= 1500
    (ideal,) = classed(svg, "ideal")
    x0, y0, x1, y1 = numbers(ideal, "x1", "y1", "x2", "y2")
    low, high = -1.12, 1.12
    true = low + (places[:, 0] - x0) / (x1 - x0) * (high - low)
    predicted = low + (places[:, 1] - y0) / (y1 - y0) * (high - low)
    np.testing.assert_allclose(predicted, true**2, rtol=0, atol=2e-3)


def test_names_are_text():
    point = Point(EVIL, 10, 0.5, None, None, "chosen")
    for svg in (
        pareto_plot([point], EVIL, EVIL, percent=False),
        confusion_plot(np.eye(2, dtype=int), [EVIL, "b"], "chosen"),
    ):
        assert "<script" not in svg
        assert "\x00" not in svg
        assert "\u202e" not in svg
        assert any("<script" in (each.text or "") for each in ET.fromstring(svg).iter())


def test_equal_values_have_a_scale():
    values_plot(np.zeros(3), np.zeros(3), "teacher")
    pareto_plot([POINTS[1], POINTS[1]], "bytes", "accuracy", percent=True)


def test_elements_round_and_escape():
    made = ET.tostring(element("text", text="a\tb", x=1 / 3, y=2.0, class_='"')).decode()
    assert made == '<text x="0.33" y="2" class="&quot;">a b</text>'
