"""Contributions in linear students: coefficient times distance from the feature's mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from soft_students.explain.contributions import ContributionExplanation, contributions_of
from soft_students.explain.one_row import read_row
from soft_students.students.classical.linear import LogisticStudentClassifier, RidgeStudentRegressor


def explain_linear(
    student: LogisticStudentClassifier | RidgeStudentRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> ContributionExplanation:
    r"""Split a linear output into contributions :math:`w_j (x_j - \bar x_j)`.

    Parameters
    ----------
    student : LogisticStudentClassifier or RidgeStudentRegressor
        Fitted. Students from old files lack the mean row :math:`\bar x`: it is then zero, and the
        `baseline` is "row of zeros".
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    ContributionExplanation
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    row, mean = rows[0].astype(np.float64), student.feature_mean_
    coef, intercept = student.coef_, student.intercept_
    start = np.zeros(len(row)) if mean is None else mean
    outputs = coef @ row + intercept
    if isinstance(student, LogisticStudentClassifier) and len(coef) == 2:
        coef, intercept, outputs = (a[1:] - a[:1] for a in (coef, intercept, outputs))
    return contributions_of(
        student,
        rows,
        names,
        contributions=coef * (row - start),
        base=coef @ start + intercept,
        outputs=outputs,
        baseline="mean of the training rows" if mean is not None else "row of zeros",
    )
