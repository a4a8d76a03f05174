"""What a column of a table holds in the place of numbers, and what to do about it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from soft_students.datasets.tabular import and_more

if TYPE_CHECKING:
    import pandas as pd

Content = Literal["numbers", "dates", "text"]

#: Values by which a column of text is judged.
_SAMPLE = 1000

_ADVICE: dict[Content, str] = {
    "numbers": "If this stands for a missing value, leave the cell empty; otherwise correct it.",
    "dates": "Replace them by numbers, such as the days since a date, or the month; or remove the "
    "column.",
    "text": "If these are categories, encode them as numbers (pandas.get_dummies, or an encoder of "
    "scikit-learn); otherwise remove the column.",
}


def unfit_column(column: pd.Series) -> str:
    """Return a sentence on the first value of a column that is no number, and advice.

    Parameters
    ----------
    column : Series
        In the order of its file.

    Returns
    -------
    str
    """
    content, others = _judge(column)
    if not len(others):
        return f"{str(column.name)!r} holds numbers as text: convert them (pandas.to_numeric)."
    first = f"{str(column.iloc[others[0]])!r:.60} in row {others[0] + 1}{and_more(len(others))}"
    holds = {
        "numbers": f"numbers, but {first}",
        "dates": f"dates or times, {first}",
        "text": f"text, {first}",
    }
    return f"{str(column.name)!r} holds {holds[content]}. {_ADVICE[content]}"


def content_of(column: pd.Series) -> Content:
    """Return what most values are: dates and the sign of a missing value are no categories.

    Parameters
    ----------
    column : Series

    Returns
    -------
    {"numbers", "dates", "text"}
    """
    return _judge(column)[0]


def _judge(column: pd.Series) -> tuple[Content, np.ndarray]:
    """Return what a column holds, and the places of the values that are no numbers."""
    values, present = column.to_numpy(dtype=object), column.notna().to_numpy()
    number = np.array([_is_number(value) for value in values], dtype=bool) & present
    others = np.flatnonzero(present & ~number)
    if number.sum() > len(others):
        return "numbers", others
    if column.dtype.kind in "Mm" or _are_dates(values[others[:_SAMPLE]]):
        return "dates", others
    return "text", others


def _is_number(value: Any) -> bool:
    try:
        return not math.isnan(float(value))
    except (TypeError, ValueError):
        return False


def _are_dates(values: np.ndarray) -> bool:
    import pandas as pd

    # pandas reads words such as "mon" and "may" as dates, too
    text = [value if any(map(str.isdigit, str(value))) else None for value in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that differ from row to row
        dates = pd.to_datetime(pd.Series(text, dtype=object), errors="coerce", utc=True)
    return bool(dates.notna().mean() > 0.9)
