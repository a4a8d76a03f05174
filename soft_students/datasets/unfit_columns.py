"""What a column of a table holds in the place of numbers, and what to do about it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.datasets.tabular import and_more

if TYPE_CHECKING:
    import pandas as pd

#: Values by which a column of text is judged.
_SAMPLE = 1000


def unfit_column(column: pd.Series) -> str:
    """Return a sentence on the first value that is no number, and advice.

    A date and the sign of a missing value among numbers are no categories.

    Parameters
    ----------
    column : Series
        A column that does not hold numbers alone, in the order of its file.

    Returns
    -------
    str
    """
    name, values = str(column.name), column.to_numpy(dtype=object)
    present = ~column.isna().to_numpy()
    number = np.array([_is_number(value) for value in values]) & present
    others = np.flatnonzero(present & ~number)
    if not len(others):
        return f"The column {name!r} holds numbers as text: convert them, with pandas.to_numeric."
    shown = f"{str(values[others[0]])!r:.60} in row {others[0] + 1}{and_more(len(others))}"
    if number.sum() > len(others):
        return (
            f"The column {name!r} holds numbers, but {shown}. If this stands for a missing value, "
            "leave the cell empty; otherwise correct it."
        )
    if column.dtype.kind in "Mm" or _are_dates(values[others[:_SAMPLE]]):
        return (
            f"The column {name!r} holds dates or times, {shown}. Replace it by numbers, such as "
            "the days since a date, or the month; or remove it."
        )
    return (
        f"The column {name!r} holds text, {shown}. If these are categories, encode them as numbers "
        "(pandas.get_dummies, or an encoder of scikit-learn); otherwise remove the column."
    )


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, complex) and not math.isnan(float(value))
    except (TypeError, ValueError):
        return False


def _are_dates(values: np.ndarray) -> bool:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that differ from row to row
        dates = pd.to_datetime(pd.Series(values, dtype=object), errors="coerce", utc=True)
    return bool(dates.notna().mean() > 0.9)
