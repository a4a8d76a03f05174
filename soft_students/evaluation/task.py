"""Log-loss and Brier score by the true labels.

Unlike scikit-learn's, they accept probabilities of classes that do not occur among the labels.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from soft_students.targets import check_probabilities

_LABELS_TOLD = 5  # in a message

_LEAST_PROBABILITY = np.finfo(np.float64).eps  # as in sklearn.metrics.log_loss


def log_loss(proba: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> float:
    r"""Return the mean over rows of :math:`-\log p_y`, in nats.

    Unlike scikit-learn's, it accepts labels of a single class and classes without rows.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
        Entries below 2.2e-16 count as 2.2e-16.
    y : array-like of shape (n_samples,)
        True labels.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.

    Returns
    -------
    float
        Finite and not negative.

    Raises
    ------
    ValueError
        If `y` is empty, rows of `proba` are not probabilities, or a label is not among the classes.

    Examples
    --------
    >>> from soft_students.evaluation import log_loss
    >>> round(log_loss([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], [0, 0]), 4)  # half of log 2
    0.3466
    """
    return float(log_losses(*check_labelled(proba, y, classes)).mean())


def log_losses(proba: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the log-loss of each row, in nats.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
    columns : ndarray of int, shape (n_samples,)
        Column of the true class.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    given = proba[np.arange(len(proba)), columns]
    return -np.log(np.clip(given, _LEAST_PROBABILITY, 1))


def brier_score(proba: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> float:
    r"""Return the mean over rows of :math:`\sum_k (p_k - [k = y])^2`.

    This is Brier's definition for any number of classes. For two classes it is twice
    `sklearn.metrics.brier_score_loss`.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
    y : array-like of shape (n_samples,)
        True labels.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.

    Returns
    -------
    float
        In [0, 2].

    Raises
    ------
    ValueError
        If `y` is empty, rows of `proba` are not probabilities, or a label is not among the classes.

    References
    ----------
    Brier (1950), "Verification of forecasts expressed in terms of probability", equation 2.

    Examples
    --------
    >>> from soft_students.evaluation import brier_score
    >>> brier_score([[0.5, 0.5], [1.0, 0.0]], ["dog", "cat"], classes=["cat", "dog"])
    0.25
    """
    return float(brier_scores(*check_labelled(proba, y, classes)).mean())


def brier_scores(proba: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the Brier score of each row.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
    columns : ndarray of int, shape (n_samples,)
        Column of the true class.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    others = np.square(proba).sum(axis=1)
    # (p - 1)² instead of p²
    return others + 1 - 2 * proba[np.arange(len(proba)), columns]


def check_labelled(
    proba: ArrayLike, y: ArrayLike, classes: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked probabilities, and the column of each row's true class.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
    y : array-like of shape (n_samples,)
    classes : array-like of shape (n_classes,) or None

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
    columns : ndarray of int, shape (n_samples,)

    Raises
    ------
    ValueError
        If `y` is empty, rows of `proba` are not probabilities, or a label is not among the classes.
    """
    y = np.asarray(y)
    if not y.size:
        raise ValueError("No rows to evaluate: y is empty.")
    if y.ndim != 1:
        raise ValueError(f"The labels y must have the shape (n_samples,). Got {y.shape}.")
    proba = check_probabilities(proba, len(y))
    labels = np.arange(proba.shape[1]) if classes is None else np.asarray(classes)
    if labels.shape != proba.shape[1:]:
        raise ValueError(
            f"classes must hold one label for each column of probabilities. Got {labels.size} "
            f"classes for an array of shape {proba.shape}."
        )
    return proba, columns_of_labels(y, labels)


def check_known(y: np.ndarray, classes: np.ndarray, whose: str) -> None:
    """Refuse labels of which a model knows none, and warn of those that it does not know.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)
        Those that the model can predict.
    whose : str
        The model, for the message.

    Raises
    ------
    ValueError
        If no label is among the classes.

    Warns
    -----
    UserWarning
        If some are not.
    """
    known = set(classes.tolist())
    unknown = [label for label in y.tolist() if label not in known]
    if not unknown:
        return
    labels = ", ".join(sorted({f"{label!r:.60}" for label in unknown})[:_LABELS_TOLD])
    if len(unknown) == len(y):
        raise ValueError(
            f"No label of y is among the classes of {whose}. Got {labels}, and "
            f"{classes.tolist()!r:.200}. Evaluate on rows with labels of these classes."
        )
    warnings.warn(
        f"{len(unknown)} of {len(y)} rows have labels that {whose} was not trained on and cannot "
        f"predict: {labels}. They count as wrong.",
        UserWarning,
        stacklevel=3,
    )


def columns_of_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the index of each label in the classes.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of int, shape (n_samples,)

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    place = {label: k for k, label in enumerate(classes.tolist())}
    unknown = sorted({repr(label) for label in y.tolist() if label not in place})
    if unknown:
        raise ValueError(
            f"The labels must be among the classes {classes.tolist()!r:.100}. Got "
            f"{', '.join(unknown)[:100]}."
        )
    return np.array([place[label] for label in y.tolist()], dtype=np.intp)
