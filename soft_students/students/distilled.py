"""A teacher and a student in one estimator, for pipelines, searches and cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, indexable

from soft_students.targets import check_logits

if TYPE_CHECKING:
    from soft_students.teachers import Teacher


def _student_has(method: str) -> Any:
    def check(self: DistilledClassifier) -> bool:
        getattr(getattr(self, "student_", self.student), method)
        return True

    return check


class DistilledClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Teach a student on the fly: ``fit(X, y)`` asks the teacher about the rows of `X`.

    The teacher sees `X` as it comes, before any preprocessing inside the student; so a student may
    be a whole :class:`~sklearn.pipeline.Pipeline`. It is never fitted, copied or changed, neither
    by `fit` nor by cloning: searches and cross-validation share the one that is given.

    Parameters
    ----------
    student : estimator
        A student of this package, or a pipeline that ends in one. A clone of it is fitted.
    teacher : object
        Anything that :func:`~soft_students.teachers.as_teacher` takes, except an array: an array
        cannot be asked about a subset of the rows.

    Attributes
    ----------
    student_ : estimator
        The fitted student.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
        Of the student, where it defines it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from soft_students import DistilledClassifier, SoftDecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = MLPClassifier(max_iter=2000, random_state=0).fit(X, y)
    >>> student = make_pipeline(
    ...     StandardScaler(), SoftDecisionTreeClassifier(depth=2, epochs=200, random_state=0)
    ... )
    >>> scores = cross_val_score(DistilledClassifier(student, teacher), X, y, cv=3)
    >>> bool(scores.min() > 0.9)
    True
    """

    def __init__(self, student: BaseEstimator, teacher: Any) -> None:
        self.student = student
        self.teacher = teacher

    def __sklearn_clone__(self) -> DistilledClassifier:
        # The default clone would copy a torch module and unfit a fitted classifier.
        return type(self)(clone(self.student), self.teacher)

    def fit(self, X: ArrayLike, y: ArrayLike, **fit_params: Any) -> Self:
        """Ask the teacher about `X`, then fit a clone of the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            True labels. They stratify cross-validation, and count as much as the student's
            `hard_weight` says.
        **fit_params : dict
            For the student's `fit`, e.g. `sample_weight`; for a pipeline in the form
            ``step__sample_weight``.

        Returns
        -------
        self
        """
        from soft_students.teachers import ArrayTeacher

        teacher = self._teacher()
        X, y = indexable(X, y)
        y = np.asarray(column_or_1d(y, warn=True))
        check_classification_targets(y)
        student = clone(self.student)
        if isinstance(student, Pipeline):
            logits = check_logits(teacher.logits(X), y.size)
            classes = teacher.classes_
            said = ArrayTeacher(logits, kind="logits", classes=classes)
            student.fit(X, y, **{f"{student.steps[-1][0]}__teacher": said}, **fit_params)
        else:
            student.fit(X, y, teacher=teacher, **fit_params)
        self.student_ = student
        self.classes_ = student.classes_
        if hasattr(student, "n_features_in_"):
            self.n_features_in_ = student.n_features_in_
        if hasattr(student, "feature_names_in_"):
            self.feature_names_in_ = student.feature_names_in_
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the student's prediction of each row, of shape (n_samples,)."""
        check_is_fitted(self)
        return self.student_.predict(X)

    @available_if(_student_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the student's class probabilities, of shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.student_.predict_proba(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.student).input_tags
        return tags

    def _teacher(self) -> Teacher:
        from soft_students.teachers import ArrayTeacher, as_teacher

        teacher = as_teacher(self.teacher)
        if isinstance(teacher, ArrayTeacher):
            raise ValueError(
                "DistilledClassifier needs a teacher that can be asked about any rows; an array "
                "belongs to one X. Call student.fit(X, array), or pass the model that made it."
            )
        return teacher
