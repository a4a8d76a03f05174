"""Rows of a student's transfer set, labelled by the teacher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import RandomState

from soft_students.students.supervision import Ask


def in_the_form_of(X: Any, ask: Ask | None) -> Ask | None:
    """Wrap `ask` so that the teacher gets new rows in the form of `X`, e.g. as a DataFrame.

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
    """Yield each copy of the rows from the student's transfer set, with its targets.

    Parameters
    ----------
    student : estimator
        Student with `transfer`, not None, and `transfer_copies`.
    X : ndarray of shape (n, n_features)
        Labelled rows, then unlabelled ones.
    targets : ndarray of shape (n, n_outputs)
    originals : ndarray of int, shape (n_labelled,)
        Indices, among the rows given to fit, of the first rows of `X`.
    ask : callable or None
        Returns the teacher's targets of new rows; None repeats the targets of their source rows.
    random_state : RandomState
    categorical : ndarray of bool, shape (n_features,), default=None
        Mask of the columns with codes of categories.

    Yields
    ------
    made : ndarray of shape (n, n_features)
    made_targets : ndarray of shape (n, n_outputs)

    Raises
    ------
    ValueError
        If `ask` is None and the new rows do not keep the labels of their source rows.
    """
    transfer, n = student.transfer, len(originals)
    if ask is None and not transfer.keeps_labels:
        raise ValueError(
            f"{type(transfer).__name__} makes rows without labels and needs a teacher to label "
            f"them. Pass a model to {type(student).__name__}.fit, or set transfer=None."
        )
    for made in transfer.copies(X, student.transfer_copies, random_state, categorical=categorical):
        if ask is None:
            made_targets = targets
        elif not transfer.keeps_labels:
            made_targets = ask(made, None)
        else:
            made_targets = ask(made[:n], originals)
            if n < len(made):
                made_targets = np.concatenate([made_targets, ask(made[n:], None)])
        yield made, made_targets
