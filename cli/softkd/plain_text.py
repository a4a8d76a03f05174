"""Docstrings as text for a terminal: numpydoc without markup, formulas without LaTeX."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import deque
from collections.abc import Iterator

_WIDTH = 88

_MATH = re.compile(r":math:`([^`]*)`")

#: Other markup within a line, and what remains of it.
_INLINE = [
    (re.compile(r"``([^`]+)``"), r"\1"),
    (re.compile(r"(?::[\w:]+:)?`~?([^`]+)`_{0,2}"), r"\1"),
    (re.compile(r" ?\[(\w+)\]_"), r" [\1]"),
]

_UNDERLINE = re.compile(r"[-=]{3,}")
_FOOTNOTE = re.compile(r"\.\. (\[\w+\])")
_PARAMETER = re.compile(r"[\w, *]+ : ")

#: The start of a paragraph whose further lines are indented.
_ITEM = re.compile(rf"{_FOOTNOTE.pattern} |[-*] ")


def plain_text(docstring: str) -> str:
    """Return a docstring as plain text: no markup, lines of at most 88 characters.

    Parameters
    ----------
    docstring : str
        In the format of numpydoc.
    """
    text = _MATH.sub(lambda match: formula(match[1]), inspect.cleandoc(docstring))
    for pattern, plain in _INLINE:
        text = pattern.sub(plain, text)
    return "\n".join(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield headings, filled paragraphs and the empty lines between them."""
    margin, paragraph = "", list[str]()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if paragraph and (_begins(line, paragraph[-1]) or _UNDERLINE.fullmatch(below)):
            yield _filled(paragraph, margin)
            paragraph = []
        if _UNDERLINE.fullmatch(below) and line:
            margin = "  "
            yield f"{line}:"
        elif not line:
            yield ""
        elif not _UNDERLINE.fullmatch(line):
            paragraph.append(line)
    if paragraph:
        yield _filled(paragraph, margin)


def _begins(line: str, before: str) -> bool:
    """Return whether a line does not continue the paragraph of the line before it."""
    text = line.lstrip()
    if not text or _PARAMETER.match(text) or _ITEM.match(text):
        return True
    return _indent(line) != _indent(before) and not _ITEM.match(before.lstrip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _filled(paragraph: list[str], margin: str) -> str:
    text = " ".join(" ".join(paragraph).split())
    hanging = "  " if _ITEM.match(text) else ""
    if _PARAMETER.match(text):
        hanging = "    "
        text = text.replace(" : ", ": ", 1).replace("default=", "default ")
    indent = margin + " " * _indent(paragraph[0])
    return textwrap.fill(
        _FOOTNOTE.sub(r"\1", text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
    )


_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω", "Delta": "Δ",
    "sum": "Σ", "prod": "Π", "ne": "≠", "le": "≤", "ge": "≥", "in": "∈", "times": "×",
    "cdot": "·", "to": "→", "infty": "∞", "ldots": "...", "|": "‖", ",": " ",
}  # fmt: skip

#: Combining characters, which follow the letter that they stand over.
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def formula(latex: str) -> str:
    r"""Return a formula of LaTeX as text.

    Examples
    --------
    >>> formula(r"\frac{w}{K - 1} \sum_{l \ne k} T^2 \hat p_l")
    'w/(K - 1) Σ_(l ≠ k) T² p̂_l'
    """
    tokens = deque(re.findall(r"\\[A-Za-z]+|\\.|\s+|.", latex, re.DOTALL))
    text = ""
    while tokens:
        text += _group(tokens)
    return " ".join(text.split())


def _group(tokens: deque[str]) -> str:
    """Read up to the end of a group in braces."""
    text = ""
    while tokens and tokens[0] != "}":
        token = tokens[0]
        if token in "^_":
            tokens.popleft()
            text += _script(token, _argument(tokens))
        elif token.isspace():
            text += tokens.popleft()
        else:
            text += _argument(tokens)
    if tokens:
        tokens.popleft()
    return text


def _argument(tokens: deque[str]) -> str:
    """Read a group, a command with its arguments, or one character."""
    token = tokens.popleft()
    while token.isspace():
        token = tokens.popleft()
    if token == "{":
        return _group(tokens)
    return _command(token[1:], tokens) if token.startswith("\\") else token


def _command(name: str, tokens: deque[str]) -> str:
    if name == "frac":
        top, bottom = _argument(tokens), _argument(tokens)
        return "½" if (top, bottom) == ("1", "2") else f"{_unit(top)}/{_unit(bottom)}"
    if name == "sqrt":
        return f"√{_unit(_argument(tokens))}"
    if name == "overline":
        return f"mean({_argument(tokens)})"
    if name in _ACCENTS:
        letters = _argument(tokens)
        return letters[0] + _ACCENTS[name] + letters[1:]
    return _SYMBOLS.get(name, name)  # the others are names of functions: \log


def _script(kind: str, text: str) -> str:
    return text.translate(_SUPERSCRIPTS) if kind == "^" and text.isdigit() else kind + _unit(text)


def _unit(text: str) -> str:
    """Return a text in parentheses, unless it is one word or number."""
    return text if text.isalnum() else f"({text})"
