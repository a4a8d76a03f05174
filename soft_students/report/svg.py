"""Elements, scales and axes of SVG plots; the page's style sheet sets the colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from soft_students.explain.tree_view import readable

LETTER = 6.3  # mean width of a letter at font size 11.5, in units of the plot


def element(tag: str, *children: ET.Element, text: str = "", **attributes: object) -> ET.Element:
    """Return an SVG element.

    Parameters
    ----------
    tag : str
    *children : Element
    text : str
        Shown literally.
    **attributes : object
        ``class_`` becomes ``class``, and underscores within a name become hyphens. Floats are
        rounded to two decimals.

    Returns
    -------
    Element
    """
    named = {
        name.rstrip("_").replace("_", "-"): _plain(value) for name, value in attributes.items()
    }
    made = ET.Element(tag, named)
    made.text = readable(text) if text else None
    made.extend(children)
    return made


def drawing(width: float, height: float, title: str, children: Iterable[ET.Element]) -> str:
    """Return an SVG image as text.

    Parameters
    ----------
    width, height : float
        In units of the children.
    title : str
        Description for screen readers.
    children : iterable of Element

    Returns
    -------
    str
        Without a namespace, for use in HTML.
    """
    svg = element(
        "svg",
        *children,
        width=width,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        role="img",
        aria_label=readable(title),
    )
    return ET.tostring(svg, encoding="unicode")


def label(x: float, y: float, text: str, anchor: str = "middle", class_: str = "") -> ET.Element:
    """Return a text element; `anchor` is "start", "middle" or "end"."""
    named = {"class_": class_} if class_ else {}
    return element("text", text=text, x=x, y=y, text_anchor=anchor, **named)


@dataclass(frozen=True)
class Scale:
    """Maps values to coordinates.

    Parameters
    ----------
    low, high : float
        Values at the two ends.
    start, end : float
        Coordinates of `low` and `high`.
    log : bool, default=False
        Whether the scale is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values between the ends.

        Examples
        --------
        >>> from soft_students.report.svg import Scale
        >>> Scale(0, 1, 0, 100).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> Scale(30, 2000, 0, 100, log=True).ticks()
        [50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]
        >>> Scale(80, 90, 0, 100, log=True).ticks()
        [80.0, 82.0, 84.0, 86.0, 88.0, 90.0]
        """
        return self._decades(most) if self.log else self._steps(most)

    def _steps(self, most: int) -> list[float]:
        rough = (self.high - self.low) / most
        decade = 10.0 ** math.floor(math.log10(rough))
        step = next(step for step in (1, 2, 5, 10) if step * decade >= rough * 0.999) * decade
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{k * step:.12g}") for k in range(first, last + 1)]

    def _decades(self, most: int) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for leading in ((1, 2, 5), (1, 3), (1,)):
            found = [
                float(k * 10.0**exponent)
                for exponent in exponents
                for k in leading
                if self.low * 0.999 <= k * 10.0**exponent <= self.high * 1.001
            ]
            if len(found) <= most:
                break
        if len(found) < 2:  # between powers of ten
            return self._steps(most)
        return found[:: math.ceil(len(found) / most)]


def axes(
    x: Scale,
    y: Scale,
    titles: tuple[str, str],
    show: tuple[Callable[[float], str], Callable[[float], str]],
) -> list[ET.Element]:
    """Return a grid with numbers and the titles of the axes.

    Parameters
    ----------
    x, y : Scale
        `y.start` is at the bottom.
    titles : (str, str)
        Titles of x and y.
    show : (callable, callable)
        Functions that format the numbers of x and y.

    Returns
    -------
    list of Element
    """
    parts = []
    for value in x.ticks():
        at = x(value)
        parts.append(element("line", x1=at, y1=y.start, x2=at, y2=y.end, class_="grid"))
        parts.append(label(at, y.start + 16, show[0](value), class_="tick"))
    for value in y.ticks():
        at = y(value)
        parts.append(element("line", x1=x.start, y1=at, x2=x.end, y2=at, class_="grid"))
        parts.append(label(x.start - 7, at + 4, show[1](value), "end", "tick"))
    parts.append(label((x.start + x.end) / 2, y.start + 36, titles[0], class_="axis"))
    parts.append(label(x.start - 7, y.end - 12, titles[1], "start", "axis"))
    return parts


def shortened(text: str, letters: int) -> str:
    """Return a text cut to at most `letters` characters."""
    text = readable(text)
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
