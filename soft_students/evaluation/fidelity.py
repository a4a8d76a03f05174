"""Fidelity of a student to its teacher: pure functions of their outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr
from sklearn.metrics import accuracy_score

from soft_students.targets import check_probabilities

# Lower bound of the probabilities in logarithms, as in sklearn.metrics.log_loss: a probability of
# zero for the true class costs 36 nats instead of infinity.
_LEAST_PROBABILITY = np.finfo(np.float64).eps


def agreement(student: ArrayLike, teacher: ArrayLike) -> float:
    """Return the fraction of rows on which student and teacher predict the same class.

    Parameters
    ----------
    student : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted labels, or probabilities, whose largest column is then the prediction.
    teacher : array-like of the same shape
        The teacher's labels or probabilities, with the student's order of columns.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ or the arrays are empty.

    Examples
    --------
    >>> from soft_students.evaluation import agreement
    >>> agreement(["cat", "dog", "dog", "dog"], ["cat", "dog", "cat", "dog"])
    0.75
    >>> agreement([[0.6, 0.4], [0.1, 0.9]], [[0.9, 0.1], [0.8, 0.2]])
    0.5
    """
    student, teacher = np.asarray(student), np.asarray(teacher)
    _check_same_shape(student, teacher)
    if student.ndim == 1:
        return float(accuracy_score(teacher, student))
    student, teacher = _check_pair(student, teacher)
    return float(np.mean(student.argmax(axis=1) == teacher.argmax(axis=1)))


def top_k_agreement(student_proba: ArrayLike, teacher_proba: ArrayLike, k: int = 2) -> float:
    """Return the fraction of rows whose teacher's class is among the student's k likeliest.

    Parameters
    ----------
    student_proba : array-like of shape (n_samples, n_classes)
        Ties go to the first column, as in `argmax`.
    teacher_proba : array-like of shape (n_samples, n_classes)
        Columns in the student's order.
    k : int, default=2
        At least 1, which gives `agreement`; ``k=n_classes`` gives one.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If k is less than one, the shapes differ, or rows are missing or not probabilities.

    Examples
    --------
    >>> from soft_students.evaluation import top_k_agreement
    >>> top_k_agreement([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [[0, 1, 0], [0, 0, 1]], k=2)
    0.5
    """
    return float(np.mean(top_k_alike(student_proba, teacher_proba, k)))


def top_k_alike(student_proba: ArrayLike, teacher_proba: ArrayLike, k: int = 2) -> np.ndarray:
    """Return for each row whether `top_k_agreement` counts it.

    Parameters
    ----------
    student_proba, teacher_proba : array-like of shape (n_samples, n_classes)
    k : int, default=2

    Returns
    -------
    ndarray of bool, shape (n_samples,)
    """
    if k < 1:
        raise ValueError(f"The k of a top-k agreement must be at least 1. Got {k!r}.")
    student, teacher = _check_pair(student_proba, teacher_proba)
    choice = teacher.argmax(axis=1)
    first = (-student).argsort(axis=1, kind="stable")[:, :k]
    return (first == choice[:, None]).any(axis=1)


def kl_to_teacher(student_proba: ArrayLike, teacher_proba: ArrayLike) -> float:
    r"""Return the mean over rows of :math:`KL(t \| s) = \sum_k t_k \log (t_k / s_k)`, in nats.

    The Kullback-Leibler divergence is zero if and only if s and t are equal in every row.

    Parameters
    ----------
    student_proba : array-like of shape (n_samples, n_classes)
        The student's probabilities s. Entries below 2.2e-16 count as 2.2e-16.
    teacher_proba : array-like of shape (n_samples, n_classes)
        The teacher's probabilities t, columns in the same order. Zeros contribute zero.

    Returns
    -------
    float
        Finite and not negative.

    Raises
    ------
    ValueError
        If the shapes differ, or rows are missing or not probabilities.

    References
    ----------
    Kullback and Leibler (1951), "On information and sufficiency", equation 2.4.

    Examples
    --------
    >>> from soft_students.evaluation import kl_to_teacher
    >>> round(kl_to_teacher([[0.5, 0.5]], [[1.0, 0.0]]), 4)  # log 2
    0.6931
    """
    # Rounding and the lower bound of probabilities can make it slightly negative.
    return max(0.0, float(divergences(student_proba, teacher_proba).mean()))


def divergences(student_proba: ArrayLike, teacher_proba: ArrayLike) -> np.ndarray:
    """Return the Kullback-Leibler divergence of each row, in nats; the mean is `kl_to_teacher`.

    Parameters
    ----------
    student_proba, teacher_proba : array-like of shape (n_samples, n_classes)

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    student, teacher = _check_pair(student_proba, teacher_proba)
    return rel_entr(teacher, np.maximum(student, _LEAST_PROBABILITY)).sum(axis=1)


def soft_cross_entropy(student_proba: ArrayLike, teacher_proba: ArrayLike) -> float:
    r"""Return the mean over rows of :math:`-\sum_k t_k \log s_k`, in nats.

    Distillation at temperature one minimises this loss. It equals `kl_to_teacher` plus the
    teacher's entropy. With one-hot t it is the log-loss.

    Parameters
    ----------
    student_proba : array-like of shape (n_samples, n_classes)
        The student's probabilities s. Entries below 2.2e-16 count as 2.2e-16.
    teacher_proba : array-like of shape (n_samples, n_classes)
        The teacher's probabilities t, columns in the same order.

    Returns
    -------
    float
        Finite and not negative.

    Raises
    ------
    ValueError
        If the shapes differ, or rows are missing or not probabilities.

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, section 2.

    Examples
    --------
    >>> from soft_students.evaluation import soft_cross_entropy
    >>> round(soft_cross_entropy([[0.5, 0.5]], [[0.9, 0.1]]), 4)  # log 2
    0.6931
    """
    return float(soft_cross_entropies(student_proba, teacher_proba).mean())


def soft_cross_entropies(student_proba: ArrayLike, teacher_proba: ArrayLike) -> np.ndarray:
    """Return the cross-entropy of each row, in nats; the mean is `soft_cross_entropy`.

    Parameters
    ----------
    student_proba, teacher_proba : array-like of shape (n_samples, n_classes)

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    student, teacher = _check_pair(student_proba, teacher_proba)
    return -(teacher * np.log(np.maximum(student, _LEAST_PROBABILITY))).sum(axis=1)


@dataclass(frozen=True)
class ClassFidelity:
    """Fidelity by the class that the teacher predicts.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    count : ndarray of int, shape (n_classes,)
        Rows for which the teacher predicts the class.
    agreement : ndarray of shape (n_classes,)
        Fraction of these rows for which the student predicts it, too; NaN without rows.
    kl_to_teacher : ndarray of shape (n_classes,)
        Mean divergence over these rows, in nats; NaN without rows.
    """

    classes: np.ndarray
    count: np.ndarray
    agreement: np.ndarray
    kl_to_teacher: np.ndarray


def fidelity_by_class(
    student_proba: ArrayLike, teacher_proba: ArrayLike, classes: ArrayLike | None = None
) -> ClassFidelity:
    """Return agreement and mean divergence for each class that the teacher predicts.

    Parameters
    ----------
    student_proba, teacher_proba : array-like of shape (n_samples, n_classes)
        Columns in the same order.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.

    Returns
    -------
    ClassFidelity

    Raises
    ------
    ValueError
        If the shapes differ, or rows are missing or not probabilities.

    Examples
    --------
    >>> from soft_students.evaluation import fidelity_by_class
    >>> student, teacher = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [[1, 0], [0, 1], [0, 1]]
    >>> found = fidelity_by_class(student, teacher, classes=["cat", "dog"])
    >>> found.agreement, found.kl_to_teacher.round(2)
    (array([1. , 0.5]), array([0.11, 0.98]))
    """
    student, teacher = _check_pair(student_proba, teacher_proba)
    labels = _check_classes(classes, teacher.shape[1])
    choice = teacher.argmax(axis=1)
    n_classes = len(labels)
    count = np.bincount(choice, minlength=n_classes)
    alike = np.bincount(choice, student.argmax(axis=1) == choice, minlength=n_classes)
    apart = np.bincount(choice, divergences(student, teacher), minlength=n_classes)
    rows = np.where(count, count, np.nan)
    return ClassFidelity(labels, count, alike / rows, np.maximum(apart / rows, 0))


@dataclass(frozen=True)
class Disagreements:
    """Rows on which student and teacher predict different classes, largest divergence first.

    Parameters
    ----------
    indices : ndarray of int, shape (n_rows,)
    student, teacher : ndarray of shape (n_rows,)
        Predicted labels.
    kl_to_teacher : ndarray of shape (n_rows,)
        Divergence in nats, in descending order.
    """

    indices: np.ndarray
    student: np.ndarray
    teacher: np.ndarray
    kl_to_teacher: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)


def disagreements(
    student_proba: ArrayLike, teacher_proba: ArrayLike, classes: ArrayLike | None = None
) -> Disagreements:
    """Return the rows on which student and teacher predict different classes.

    Parameters
    ----------
    student_proba, teacher_proba : array-like of shape (n_samples, n_classes)
        Columns in the same order.
    classes : array-like of shape (n_classes,), default=None
        Label of each column. None: its number.

    Returns
    -------
    Disagreements
        Sorted by divergence, largest first; ties in the order of rows.

    Raises
    ------
    ValueError
        If the shapes differ, or rows are missing or not probabilities.

    Examples
    --------
    >>> from soft_students.evaluation import disagreements
    >>> student, teacher = [[0.6, 0.4], [0.8, 0.2], [0.9, 0.1]], [[1, 0], [0, 1], [0, 1]]
    >>> found = disagreements(student, teacher, classes=["cat", "dog"])
    >>> found.indices.tolist(), found.student.tolist(), found.teacher.tolist()
    ([2, 1], ['cat', 'cat'], ['dog', 'dog'])
    """
    student, teacher = _check_pair(student_proba, teacher_proba)
    labels = _check_classes(classes, teacher.shape[1])
    chosen, taught = student.argmax(axis=1), teacher.argmax(axis=1)
    apart = divergences(student, teacher)
    rows = np.flatnonzero(chosen != taught)
    rows = rows[(-apart[rows]).argsort(kind="stable")]
    return Disagreements(rows, labels[chosen[rows]], labels[taught[rows]], apart[rows])


def align_classes(proba: ArrayLike, classes: ArrayLike, to: ArrayLike) -> np.ndarray:
    """Return probabilities with one column per label of `to`.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
    classes : array-like of shape (n_classes,)
        Label of each column of `proba`.
    to : array-like of shape (n_labels,)
        Labels of the result, including all of `classes`. Columns of other labels are zero.

    Returns
    -------
    ndarray of shape (n_samples, n_labels)

    Raises
    ------
    ValueError
        If `classes` does not match the columns, or contains a label that `to` lacks.

    Examples
    --------
    >>> from soft_students.evaluation import align_classes
    >>> align_classes([[0.3, 0.7]], ["cat", "dog"], to=["bird", "dog", "cat"])
    array([[0. , 0.7, 0.3]])
    """
    proba, classes, to = np.asarray(proba), np.asarray(classes), np.asarray(to)
    if proba.ndim != 2 or classes.shape != proba.shape[1:]:
        raise ValueError(
            f"classes must hold one label for each column of probabilities. Got {classes.size} "
            f"classes for an array of shape {proba.shape}."
        )
    column = {label: k for k, label in enumerate(to.tolist())}
    missing = [label for label in classes.tolist() if label not in column]
    if missing:
        raise ValueError(f"The classes to align to lack {missing[0]!r}. Got {to.tolist()}.")
    aligned = np.zeros((len(proba), len(to)), dtype=proba.dtype)
    aligned[:, [column[label] for label in classes.tolist()]] = proba
    return aligned


def _check_classes(classes: ArrayLike | None, n_classes: int) -> np.ndarray:
    labels = np.arange(n_classes) if classes is None else np.asarray(classes)
    if labels.shape != (n_classes,):
        raise ValueError(
            f"classes must hold one label for each column of probabilities. Got {labels.size} "
            f"classes for {n_classes} columns."
        )
    return labels


def _check_pair(student: ArrayLike, teacher: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    student, teacher = np.asarray(student), np.asarray(teacher)
    _check_same_shape(student, teacher)
    n_samples = len(student)
    return check_probabilities(student, n_samples), check_probabilities(teacher, n_samples)


def _check_same_shape(student: np.ndarray, teacher: np.ndarray) -> None:
    if student.shape != teacher.shape or student.ndim not in (1, 2):
        raise ValueError(
            "The outputs of student and teacher must have the same shape, (n_samples,) for labels "
            f"or (n_samples, n_classes) for probabilities. Got {student.shape} and {teacher.shape}."
        )
    if not student.size:
        raise ValueError("No outputs to compare: the arrays are empty.")
