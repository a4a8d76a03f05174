"""Numbers as text, with enough digits to distinguish them."""

from __future__ import annotations

import math
from collections.abc import Iterable

_SMALLEST, _LARGEST = 1e-4, 1e15  # others are written with an exponent


def numeral(value: float, digits: int = 4) -> str:
    """Return a number as text: whole numbers in full, others with `digits` significant digits.

    All digits before the decimal point are shown, and at least one after it unless it is zero.

    Parameters
    ----------
    value : float
    digits : int, default=4

    Returns
    -------
    str

    Examples
    --------
    >>> from soft_students.numerals import numeral
    >>> [numeral(value) for value in (100200, 100200.5, 2.449999, 0.0000123456)]
    ['100200', '100200.5', '2.45', '1.235e-05']
    """
    value = float(value)
    if value == round(value, 0) and abs(value) < _LARGEST:
        return f"{value + 0.0:.0f}"
    if not _SMALLEST <= abs(value) < _LARGEST:
        return f"{value:.{digits}g}"
    decimals = max(1, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def told_apart(values: Iterable[float], digits: int = 4, *, most: int = 17) -> list[str]:
    """Return numbers as text, with at least `digits` digits and enough to distinguish them.

    The order is kept: a greater number has a text of greater value.

    Parameters
    ----------
    values : iterable of float
    digits : int, default=4
    most : int, default=17
        Upper bound of the digits; 17 distinguish any two numbers.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from soft_students.numerals import told_apart
    >>> told_apart([100200, 100200.5, 2.449999])
    ['100200', '100200.5', '2.45']
    """
    values = [float(value) for value in values]
    distinct = len(set(values))
    for tried in range(digits, most):
        texts = [numeral(value, tried) for value in values]
        if len(set(texts)) == distinct:
            return texts
    return [numeral(value, most) for value in values]


def format_of(values: Iterable[float], decimals: int) -> str:
    """Return one format for numbers of a sum, with the precision of the largest.

    Parameters
    ----------
    values : iterable of float
    decimals : int
        Minimum of decimals, and of significant digits of the largest number.

    Returns
    -------
    str
        Format specification for :func:`format`, without a sign.

    Examples
    --------
    >>> from soft_students.numerals import format_of
    >>> [format_of(values, 2) for values in ([0.5, -12], [0.00123, 0.00002], [1e-20])]
    ['.2f', '.4f', '.1e']
    """
    largest = max((abs(float(value)) for value in values), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return f".{decimals}f"
    if not _SMALLEST <= largest < _LARGEST:
        return f".{max(1, decimals - 1)}e"
    return f".{max(decimals, decimals - 1 - math.floor(math.log10(largest)))}f"


def fixed(value: float, decimals: int) -> str:
    """Return a number with fixed decimals, or with more digits if all of these would be zero.

    Parameters
    ----------
    value : float
    decimals : int

    Returns
    -------
    str

    Examples
    --------
    >>> from soft_students.numerals import fixed
    >>> fixed(0.25, 3), fixed(0.000345678, 3)
    ('0.250', '0.000346')
    """
    text = f"{value:.{decimals}f}"
    return text if value == 0 or float(text) else numeral(value, decimals)
