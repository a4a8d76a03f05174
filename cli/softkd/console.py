"""Streams that take any text: characters are replaced or escaped as encoding and terminal need."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

#: Symbols of our own in ASCII; other characters that an encoding lacks are escaped.
_SYMBOLS = {
    "µ": "u", "μ": "u", "²": "2", "×": "x", "·": "*", "±": "+/-", "−": "-", "–": "-", "—": "-",
    "…": "...", "≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "↑": "higher", "↓": "lower",
    "─": "-", "━": "-", "│": "|", "┃": "|", "•": "*",
}  # fmt: skip

#: Characters that a terminal obeys, without ends of lines and tabs, or that reverse text.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

#: How `str.encode` calls the replacement.
PLAIN = "softkd-plain"


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace the characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = (
        _SYMBOLS.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in lacking
    )
    return "".join(plain), error.end


codecs.register_error(PLAIN, _replace)


def escaped(text: str) -> str:
    """Return a text with its control characters escaped, except for the ends of lines and tabs."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Console(io.TextIOBase):
    """A stream that escapes control characters on a terminal.

    It has no `buffer`, to which click would write directly if the encoding is ASCII.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # rich writes to this: it draws by control characters

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.rich_proxied_file.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.rich_proxied_file.errors

    def write(self, text: str | bytes) -> int:
        if isinstance(text, bytes):  # what click prints for a shell that completes
            if not text:  # by this click asks whether a stream is binary
                raise TypeError("This is a stream of text.")
            self.rich_proxied_file.flush()
            return self.rich_proxied_file.buffer.write(text)
        self.rich_proxied_file.write(escaped(text) if self.isatty() else text)
        return len(text)

    def flush(self) -> None:
        self.rich_proxied_file.flush()

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()

    def isatty(self) -> bool:
        return self.rich_proxied_file.isatty()

    def writable(self) -> bool:
        return True


@contextmanager
def any_text() -> Iterator[None]:
    """Have stdout and stderr take any text.

    Characters that their encoding lacks are replaced, and terminals get no control characters but
    those of rich.
    """
    before = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = (_prepared(stream) for stream in before)
        yield
    finally:
        sys.stdout, sys.stderr = before


def _prepared(stream: Any) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # closed, or of a notebook
        return stream
    stream.reconfigure(errors=PLAIN)
    return _Console(stream)
