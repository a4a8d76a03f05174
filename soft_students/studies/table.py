"""Summarises results over seeds, and formats them as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Measures of a row, with their headings and scales.
_COLUMNS = {
    "accuracy_expectation": ("expectation", 100),
    "accuracy_greatest_path": ("greatest path", 100),
    "accuracy_greedy": ("greedy", 100),
    "agreement": ("agreement", 100),
    "seconds": ("seconds", 1),
}


def summarize(values: Sequence[float]) -> dict[str, Any]:
    """Return the values of all seeds, their mean and their standard deviation.

    Parameters
    ----------
    values : sequence of float

    Returns
    -------
    dict
        ``values``, ``mean`` and ``sd`` (with n - 1; None for a single value).

    Examples
    --------
    >>> from soft_students.studies import summarize
    >>> summarize([1.0, 3.0])
    {'values': [1.0, 3.0], 'mean': 2.0, 'sd': 1.4142135623730951}
    """
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"values": list(values), "mean": float(np.mean(values)), "sd": sd}


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of a study as a Markdown table.

    Parameters
    ----------
    rows : sequence of dict
        Each with ``depth``, ``trained_on``, ``temperature``, ``epochs``, ``bytes``, and the
        measures as returned by `summarize`.

    Returns
    -------
    str
        Accuracies and agreement in percent, mean ± standard deviation over the seeds.
    """
    headings = [heading for heading, _ in _COLUMNS.values()]
    lines = [
        "| depth | trained on | T | epochs | " + " | ".join(headings) + " | bytes |",
        "|---:|---|---:|---:|" + "---:|" * (len(headings) + 1),
    ]
    for row in rows:
        temperature = "" if row["temperature"] is None else f"{row['temperature']:g}"
        cells = [str(row["depth"]), row["trained_on"], temperature, str(row["epochs"])]
        cells += [_shown(row[name], scale) for name, (_, scale) in _COLUMNS.items()]
        lines.append("| " + " | ".join([*cells, f"{row['bytes']:,}"]) + " |")
    return "\n".join(lines) + "\n"


def _shown(summary: Mapping[str, Any], scale: float) -> str:
    digits = 2 if scale == 100 else 0
    mean = f"{scale * summary['mean']:.{digits}f}"
    return mean if summary["sd"] is None else f"{mean} ± {scale * summary['sd']:.{digits}f}"
