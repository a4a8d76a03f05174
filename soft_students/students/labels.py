"""Conversion of labels to arrays, and their columns among a teacher's outputs."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

if TYPE_CHECKING:
    from soft_students.teachers import Teacher

#: Minimum number of rows for a warning about agreement below chance.
_ROWS_TO_JUDGE = 20


def read_labels(labels: ArrayLike) -> np.ndarray:
    """Return labels of classes as a one-dimensional array.

    Parameters
    ----------
    labels : array-like of shape (n_samples,) or (n_samples, 1)
        Nullable and categorical types of pandas become numpy's own; whole numbers in an array of
        objects become int64.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If a label is missing, or labels are no classes (e.g. continuous numbers).
    """
    if hasattr(labels, "dtype") and not isinstance(labels.dtype, np.dtype):
        labels = np.asarray(labels, dtype=object)  # of pandas' own types
    array = column_or_1d(labels, warn=True)
    if array.dtype == object:
        missing = np.array([_is_missing(label) for label in array], dtype=bool)
        if missing.any():
            raise ValueError(
                f"Input y contains NaN: {missing.sum()} of {len(array)} labels are missing (first: "
                f"row {missing.argmax()}). Remove these rows, or pass them as X_unlabeled."
            )
        for kind, dtype in ((bool, np.bool_), (Integral, np.int64)):
            if len(array) and all(isinstance(label, kind) for label in array):
                array = array.astype(dtype)
    check_classification_targets(array)
    return array


def match_classes(
    teacher: Teacher, n_outputs: int, present: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the classes of a teacher's columns, and the column of each label.

    Parameters
    ----------
    teacher : Teacher
        Teacher, with its columns sorted by class if it has class labels.
    n_outputs : int
        Number of columns.
    present : ndarray of shape (n_labels,) or None
        The distinct labels, sorted; None without labels.

    Returns
    -------
    classes : ndarray of shape (n_outputs,)
    columns : ndarray of int, shape (n_labels,), or None

    Raises
    ------
    ValueError
        If a label is none of the classes, or the classes are unknown and cannot be inferred.

    Warns
    -----
    UserWarning
        If the order of the classes is assumed.
    """
    classes = teacher.classes_
    if classes is None:
        classes = _assumed_classes(teacher, n_outputs, present)
    if present is None:
        return np.asarray(classes), None
    classes = _in_terms_of(np.asarray(classes), present, teacher.name)
    column = {label: place for place, label in enumerate(classes.tolist())}
    unknown = [label for label in present.tolist() if label not in column]
    if unknown:
        raise ValueError(
            f"The labels contain {unknown[:5]}, which the teacher {teacher.name!r} does not have. "
            f"Its classes are {classes.tolist()[:20]}. If they mean the same, pass the labels of "
            "its columns in order: as_teacher(teacher, classes=[...])."
        )
    return classes, np.array([column[label] for label in present.tolist()], dtype=np.intp)


def warn_of_disagreement(teacher: Teacher, logits: np.ndarray, codes: np.ndarray) -> None:
    """Warn if a teacher's agreement with the labels is below chance.

    Parameters
    ----------
    teacher : Teacher
    logits : ndarray of shape (n_samples, n_classes)
    codes : ndarray of int, shape (n_samples,)
        Column of each label.
    """
    n, n_classes = logits.shape
    if n < _ROWS_TO_JUDGE:
        return
    chance = 1 / n_classes
    agreement = float((logits.argmax(axis=1) == codes).mean())
    if agreement < chance - 3 * np.sqrt(chance * (1 - chance) / n):
        warnings.warn(
            f"The teacher {teacher.name!r} agrees with {agreement:.0%} of the labels, less than "
            f"chance ({chance:.0%}): its columns may be in another order. Name them: "
            "as_teacher(teacher, classes=[...]) (--classes A,B,...).",
            UserWarning,
            stacklevel=4,
        )


def _assumed_classes(teacher: Teacher, n_outputs: int, present: np.ndarray | None) -> np.ndarray:
    """Return the assumed classes of a teacher without class labels."""
    if present is None:
        return np.arange(n_outputs)
    if len(present) == n_outputs:
        if present.dtype.kind not in "biuf":
            warnings.warn(
                f"The teacher {teacher.name!r} does not name its classes: its columns are taken as "
                f"the sorted labels, {', '.join(map(repr, present.tolist()[:10]))}. If they are in "
                "another order, pass it: as_teacher(teacher, classes=[...]) (--classes A,B,...).",
                UserWarning,
                stacklevel=5,
            )
        return present
    if _are_numbers_below(present, n_outputs):
        return np.arange(n_outputs)
    raise ValueError(
        f"The teacher {teacher.name!r} has {n_outputs} outputs and does not name its classes, but "
        f"the labels contain {len(present)} classes. Name them: as_teacher(teacher, classes=[...])."
    )


def _in_terms_of(classes: np.ndarray, present: np.ndarray, name: str) -> np.ndarray:
    """Return the classes in the type of the labels, if these are equivalent."""
    if not set(present.tolist()) - set(classes.tolist()):
        return classes
    if present.dtype.kind in "iu" and classes.dtype.kind in "UO":
        texts = [str(label) for label in classes.tolist()]
        if all(text.isdecimal() for text in texts):  # columns of a CSV file: "0", "1", ...
            numbers = np.array(texts, dtype=np.int64)
            return numbers if len(np.unique(numbers)) == len(numbers) else classes
        if np.array_equal(present, np.arange(len(classes))):
            warnings.warn(
                f"The labels are whole numbers, the classes of the teacher {name!r} are "
                f"{', '.join(map(repr, classes.tolist()[:10]))}: the numbers are taken as "
                "positions in this list.",
                UserWarning,
                stacklevel=5,
            )
            return np.arange(len(classes))
    if present.dtype.kind in "UO" and classes.dtype.kind in "iub":
        return classes.astype(str)
    return classes


def _are_numbers_below(labels: np.ndarray, n: int) -> bool:
    """Return whether all labels, of any type, are integers from 0 to n - 1."""
    if labels.dtype.kind not in "iuf" or not len(labels):
        return False
    return bool((labels == np.floor(labels)).all() and labels.min() >= 0 and labels.max() < n)


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ in ("NAType", "NaTType") or label != label
