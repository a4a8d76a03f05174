"""The rows that a student's transfer set makes, and what the teacher says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import RandomState

from soft_students.students.supervision import Ask


def in_the_form_of(X: Any, ask: Ask | None) -> Ask | None:
    """Have the teacher shown new rows in the form of `X`: in a DataFrame if it is one.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    ask : callable or None

    Returns
    -------
    callable or None
    """
    if ask is None or not hasattr(X, "iloc"):
        return ask
    columns, frame = X.columns, type(X)
    return lambda rows, originals: ask(frame(rows, columns=columns), originals)


def taught_copies(
    student: Any,
    X: np.ndarray,
    targets: np.ndarray,
    originals: np.ndarray,
    ask: Ask | None,
    random_state: RandomState,
    categorical: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each copy of the rows that the student's transfer set makes, with its targets.

    Parameters
    ----------
    student : estimator
        With the parameters `transfer`, which is not None, and `transfer_copies`.
    X : ndarray of shape (n, n_features)
        Labelled rows, then unlabelled ones.
    targets : ndarray of shape (n, n_outputs)
    originals : ndarray of int, shape (n_labelled,)
        By their numbers, the rows given to fit that the first rows of `X` are.
    ask : callable or None
        None repeats the target of the row that a new one is made from.
    random_state : RandomState
    categorical : ndarray of bool, shape (n_features,), default=None
        Which columns hold codes of categories.

    Yields
    ------
    made : ndarray of shape (n, n_features)
    told : ndarray of shape (n, n_outputs)

    Raises
    ------
    ValueError
        If there is no teacher, and the new rows do not bear the labels of those they come from.
    """
    transfer, n = student.transfer, len(originals)
    if ask is None and not transfer.keeps_labels:
        raise ValueError(
            f"{type(transfer).__name__} makes rows that no label is known of: it needs a teacher "
            f"that can be asked. Pass one to {type(student).__name__}.fit, or set transfer=None."
        )
    for made in transfer.copies(X, student.transfer_copies, random_state, categorical=categorical):
        if ask is None:
            told = targets
        elif not transfer.keeps_labels:
            told = ask(made, None)
        else:
            told = ask(made[:n], originals)
            if n < len(made):
                told = np.concatenate([told, ask(made[n:], None)])
        yield made, told
