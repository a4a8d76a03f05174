"""Targets out of fold: each row is labelled by a teacher that was not trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import BaseCrossValidator, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from soft_students.teachers import Teacher


def check_can_cross_fit(
    distilled: BaseEstimator, answer: str, for_student: Mapping[str, Any]
) -> None:
    """Refuse a teacher that cannot be cloned and fitted, and rows outside of X.

    Parameters
    ----------
    distilled : DistilledClassifier or DistilledRegressor
    answer : str
        Method of the teacher that gives the targets.
    for_student : dict
        Parameters of the student's fit.

    Raises
    ------
    ValueError
    """
    params = distilled.get_params(deep=False)
    name, teacher, folds = type(distilled).__name__, params["teacher"], params["cross_fit"]
    prefix, last = last_step(params["student"])
    if getattr(last, "transfer", None) is not None or f"{prefix}X_unlabeled" in for_student:
        raise ValueError(
            f"{name}(cross_fit={folds}) has targets for the rows of X only; they are not available "
            "for a transfer set or X_unlabeled. Set transfer=None and pass no X_unlabeled, or pass "
            "a fitted teacher with cross_fit=None."
        )
    if not (hasattr(teacher, "fit") and hasattr(teacher, answer)) or isinstance(teacher, type):
        raise ValueError(
            f"cross_fit={folds} of {name} fits clones of the teacher, which must be an unfitted "
            f"estimator with fit and {answer}. Got {teacher!r:.100} instead. For a fitted "
            "model, set cross_fit=None."
        )
    if get_tags(teacher).requires_fit and _is_fitted(teacher):
        raise ValueError(
            f"cross_fit={folds} of {name} fits clones of the teacher, but this "
            f"{type(teacher).__name__} is fitted. Pass it unfitted: sklearn.base.clone(teacher); "
            "or set cross_fit=None to use it."
        )


def cross_fitted(
    teacher: BaseEstimator,
    X: Any,
    y: np.ndarray,
    folds: BaseCrossValidator,
    answer: str,
    for_teacher: Mapping[str, Any],
) -> tuple[Teacher, Teacher]:
    """Return the answers out of fold, and a teacher that was trained on all rows.

    Parameters
    ----------
    teacher : estimator
        Clones of it are fitted.
    X : array-like of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,), or (n_samples, n_outputs) of values
    folds : cross-validation splitter
    answer : {"predict_proba", "predict"}
        Method of the teacher that gives the targets.
    for_teacher : dict
        Parameters of the teacher's fit.

    Returns
    -------
    answers : ArrayTeacher
    teacher : Teacher
    """
    from soft_students.teachers import ArrayTeacher, as_teacher

    answers = cross_val_predict(teacher, X, y, cv=folds, method=answer, params=dict(for_teacher))
    with_all = as_teacher(clone(teacher).fit(X, y, **for_teacher))
    if answer == "predict":
        return ArrayTeacher(answers, task="regression"), with_all
    return ArrayTeacher(answers, classes=np.unique(y)), with_all


def last_step(estimator: Any) -> tuple[str, Any]:
    """Return the last step of a pipeline, and the prefix of its parameters."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def _is_fitted(estimator: Any) -> bool:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True
