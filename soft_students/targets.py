"""Soft targets: softening, validation, and mixing with true labels."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax

# Sums of rows may differ from one by the rounding of float16, or of three decimals per class.
_ROW_SUM_TOLERANCE = 1e-3
_ROUNDING = 5e-4


def soften(logits: ArrayLike, temperature: float = 1.0) -> np.ndarray:
    r"""Return soft targets :math:`softmax(z / T)`, row by row.

    Parameters
    ----------
    logits : array-like of shape (n_samples, n_classes)
        Logits, or logarithms of probabilities up to a constant per row.
    temperature : float, default=1.0
        T > 0. Above one the targets are softer than the teacher, below one harder.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64
        Rows sum to one.

    Raises
    ------
    ValueError
        If the temperature is not a positive finite number.

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, equation 1.

    Examples
    --------
    >>> from soft_students.targets import soften
    >>> soften([[0.0, 2.0]], temperature=2.0).round(3)
    array([[0.269, 0.731]])
    """
    check_temperature(temperature)
    logits = np.asarray(logits, dtype=np.float64)
    with np.errstate(over="ignore"):
        # Shifted first, the division can only overflow to minus infinity: to probability zero.
        return softmax((logits - logits.max(axis=1, keepdims=True)) / temperature, axis=1)


def sharpen(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Undo `soften`: return ``p**temperature``, normalised row by row.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
    temperature : float

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Examples
    --------
    >>> from soft_students.targets import sharpen, soften
    >>> sharpen(soften([[0.0, 2.0]], temperature=3.0), temperature=3.0).round(3)
    array([[0.119, 0.881]])
    """
    if temperature == 1:
        return probabilities / probabilities.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        return softmax(temperature * np.log(probabilities), axis=1)


def mix_labels(logits: np.ndarray, labels: np.ndarray, hard_weight: float) -> np.ndarray:
    """Mix the teacher's probabilities with the true labels, at temperature one.

    Mixing precedes softening, so that a student that undoes the temperature predicts the mixture.
    With ``hard_weight=1`` the targets are one-hot at every temperature.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_classes)
    labels : ndarray of int, shape (n_samples,)
        Column of the true class.
    hard_weight : float
        Weight of the label, in [0, 1].

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Logarithms of the mixed probabilities: logits for `soften`.
    """
    if hard_weight == 0:
        return logits
    # In logarithms: a probability that would underflow matters at high temperatures.
    with np.errstate(divide="ignore"):
        mixed = log_softmax(logits, axis=1) + np.log1p(-hard_weight)
    rows = np.arange(len(labels))
    mixed[rows, labels] = np.logaddexp(mixed[rows, labels], np.log(hard_weight))
    return mixed


def one_hot(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return one-hot float64 targets of labels, of shape (n_samples, n_classes)."""
    targets = np.zeros((len(labels), n_classes))
    targets[np.arange(len(labels)), labels] = 1
    return targets


def check_temperature(temperature: float) -> None:
    """Raise ValueError if a temperature is not a positive finite number."""
    if not isinstance(temperature, Real) or not 0 < temperature < np.inf:
        raise ValueError(f"The temperature must be a finite number > 0. Got {temperature!r}.")


def check_logits(logits: ArrayLike, n_samples: int, n_classes: int | None = None) -> np.ndarray:
    """Return a teacher's logits as float64, after checking their shape and values.

    Parameters
    ----------
    logits : array-like of shape (n_samples, n_classes)
        Minus infinity (probability zero) is allowed if the row has a finite entry.
    n_samples : int
    n_classes : int, default=None

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64

    Raises
    ------
    ValueError
        If the shape is wrong, or a row contains NaN, plus infinity or only minus infinity.
    """
    logits = np.asarray(logits, dtype=np.float64)
    _check_shape(logits, n_samples, n_classes, "logits")
    bad = np.isnan(logits).any(axis=1) | (logits.max(axis=1, initial=-np.inf) == np.inf)
    bad |= np.isneginf(logits).all(axis=1)
    if bad.any():
        raise ValueError(
            f"The teacher's logits are not finite in {bad.sum()} of {len(logits)} rows (first: row "
            f"{bad.argmax()}). Check the teacher's inputs for missing or extreme values."
        )
    return logits


def check_probabilities(
    probabilities: ArrayLike, n_samples: int, n_classes: int | None = None
) -> np.ndarray:
    """Return rows of probabilities as float64, after checking their shape and values.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
    n_samples : int
    n_classes : int, default=None

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64
        Rows are divided by their sum, which removes the rounding of float16, float32 or three
        decimals.

    Raises
    ------
    ValueError
        If the shape is wrong, an entry is NaN or negative, or a row does not sum to one.

    Examples
    --------
    >>> from soft_students.targets import check_probabilities
    >>> check_probabilities([[0.5, 0.6]], n_samples=1)
    Traceback (most recent call last):
        ...
    ValueError: Rows of soft targets must sum to one; 1 of 1 rows do not (first: row 0 sums to
    1.1). Pass logits through softmax first, or wrap them: as_teacher(logits, kind="logits").
    """
    targets = np.asarray(probabilities, dtype=np.float64)
    _check_shape(targets, n_samples, n_classes, "soft targets")
    nan = np.isnan(targets).any(axis=1)
    if nan.any():
        raise ValueError(
            f"Soft targets contain NaN in {nan.sum()} of {len(targets)} rows (first: row "
            f"{nan.argmax()})."
        )
    with np.errstate(invalid="ignore"):  # infinities can cancel to NaN, which is rejected too
        sums = targets.sum(axis=1)
    off = ~(np.abs(sums - 1) <= _ROW_SUM_TOLERANCE + _ROUNDING * targets.shape[1])
    if off.any():
        raise ValueError(
            f"Rows of soft targets must sum to one; {off.sum()} of {len(targets)} rows do not "
            f"(first: row {off.argmax()} sums to {sums[off.argmax()]:.6g}). Pass logits through "
            'softmax first, or wrap them: as_teacher(logits, kind="logits").'
        )
    if targets.min(initial=0) < 0:
        row = int((targets < 0).any(axis=1).argmax())
        raise ValueError(
            f"Soft targets must not be negative; row {row} contains {targets[row].min():.6g}. Wrap "
            'logits as as_teacher(logits, kind="logits").'
        )
    return targets / sums[:, None]


def _check_shape(values: np.ndarray, n_samples: int, n_classes: int | None, what: str) -> None:
    if values.ndim != 2:
        raise ValueError(
            f"The {what} must have the shape (n_samples, n_classes). Got an array with "
            f"{values.ndim} dimension(s)."
        )
    if len(values) != n_samples:
        raise ValueError(
            f"The {what} have {len(values)} rows, but X has {n_samples}. Pass one row for each row "
            "of X."
        )
    if n_classes is not None and values.shape[1] != n_classes:
        raise ValueError(
            f"The {what} have {values.shape[1]} columns, but the number of classes is {n_classes}."
        )
