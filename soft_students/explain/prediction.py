"""Explains one prediction of any supported student."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from soft_students.explain.contributions import explain_contributions
from soft_students.explain.explanation import Explanation
from soft_students.explain.one_row import one_row
from soft_students.explain.path import explain_path
from soft_students.explain.rules import explain_rules
from soft_students.students.classical.trees import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
)
from soft_students.students.distilled import DistilledClassifier, DistilledRegressor
from soft_students.students.registry import available
from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor


@singledispatch
def explain(
    student: Any,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> Explanation:
    """Explain a student's prediction for one row.

    =============================  =====================================================
    soft tree                      path, with each gate on it: `PathExplanation`
    hard tree                      rules on the path: `RuleExplanation`
    xgboost, lightgbm              SHAP values by the library: `ContributionExplanation`
    hist, forest, extra_trees      differences along the paths: `ContributionExplanation`
    logistic, ridge                coefficients times distances from the mean row:
                                   `ContributionExplanation`
    DistilledClassifier, Pipeline  that of the student inside, on its input features
    =============================  =====================================================

    A student whose outputs are sums over features defines ``_contributions``, see
    ``docs/tutorials/own_student.md``. Register a function for another class of students by
    ``explain.register(MyStudent, explain_mine)``.

    Parameters
    ----------
    student : estimator
        Fitted.
    x : array-like of shape (n_features,) or (1, n_features), Series, or DataFrame of one row
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of the image in `x`: it names the features, and
        soft trees draw their gates as images. None: that of the student's
        :class:`~soft_students.transfer.ImageDistortion`, if it has one and `feature_names` is None.
    feature_names : iterable of str, default=None
        None: the names seen in fit, or positions.

    Returns
    -------
    Explanation
        With `to_text`, `to_dict`, `plot`, `importances` and `prediction`.

    Raises
    ------
    TypeError
        If `student` is of another kind.
    sklearn.exceptions.NotFittedError
    ValueError
        If `x` or another parameter does not match the student's features.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import LogisticStudentClassifier
    >>> from soft_students.explain import explain
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> student = LogisticStudentClassifier().fit(X, y)
    >>> found = explain(student, X.iloc[0])  # or student.explain(X.iloc[0])
    >>> print(found.to_text(top=1))
    Predicted: 0 (0.982)
    The logit of 0 is +7.3355:
         -0.4216  mean of the training rows
         +5.9354  petal length (cm) = 1.4
         +1.8216  3 others
    >>> bool(abs(found.base + found.contributions.sum(axis=1) - found.outputs).max() < 1e-9)
    True
    """
    if hasattr(student, "_contributions"):
        return explain_contributions(
            student, x, image_shape=image_shape, feature_names=feature_names
        )
    raise TypeError(
        f"Predictions of {type(student).__name__} cannot be explained. Those of these students "
        f"can: {', '.join(explained_students())}, their regressors, and DistilledClassifier, "
        "DistilledRegressor and Pipeline around them. To explain another model, distil it into "
        "one of them: student.fit(X, model)."
    )


def is_explained(cls: type) -> bool:
    """Return whether `explain` takes students of a class."""
    return hasattr(cls, "_contributions") or explain.dispatch(cls) is not explain.dispatch(object)


def explained_students() -> list[str]:
    """Return the names of the students of the catalogue that are explained."""
    return [name for name, entry in available().items() if is_explained(entry.classes[0])]


explain.register(SoftDecisionTreeClassifier | SoftDecisionTreeRegressor, explain_path)
explain.register(DecisionTreeStudentClassifier | DecisionTreeStudentRegressor, explain_rules)


@explain.register(DistilledClassifier)
@explain.register(DistilledRegressor)
def _(
    student: DistilledClassifier | DistilledRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> Explanation:
    check_is_fitted(student)
    return explain(student.student_, x, image_shape=image_shape, feature_names=feature_names)


@explain.register(Pipeline)
def _(
    student: Pipeline,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> Explanation:
    check_is_fitted(student)
    if len(student) > 1:
        head = student[:-1]
        x = head.transform(one_row(x, student.n_features_in_))
        x = x.toarray() if hasattr(x, "toarray") else x
        if feature_names is None and image_shape is None:
            feature_names = _names_out(head)
    return explain(student[-1], x, image_shape=image_shape, feature_names=feature_names)


def _names_out(head: Pipeline) -> Iterable[str] | None:
    try:
        return head.get_feature_names_out()
    except (AttributeError, ValueError):  # a step without names of its outputs
        return None
