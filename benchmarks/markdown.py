"""Results as Markdown: figures over seeds, and tables put into a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from soft_students.persistence import atomic_write


def mean_sd(values: Sequence[float], digits: int, scale: float = 1) -> str:
    """Return mean ± standard deviation (n - 1) of the values of all seeds."""
    scaled = scale * np.asarray(values, dtype=float)
    if len(scaled) < 2:
        return f"{scaled.mean():.{digits}f}"
    return f"{scaled.mean():.{digits}f} ± {scaled.std(ddof=1):.{digits}f}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose others are figures."""
    rule = "|---|" + "---:|" * (len(headings) - 1)
    return "\n".join(
        ["| " + " | ".join(headings) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]
    )


def put_into(page: Path, name: str, text: str) -> None:
    """Replace what stands between the two comments of that name in a page."""
    before, after = f"<!-- {name} -->", f"<!-- end of {name} -->"
    whole = page.read_text(encoding="utf-8")
    if whole.count(before) != 1 or whole.count(after) != 1:
        raise ValueError(f"'{page}' must hold the lines {before!r} and {after!r} once each.")
    head, rest = whole.split(before)
    with atomic_write(page) as file:
        file.write(f"{head}{before}\n\n{text}\n\n{after}{rest.split(after)[1]}".encode())
