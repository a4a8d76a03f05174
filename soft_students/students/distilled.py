"""A teacher and a student in one estimator, for pipelines, searches and cross-validation."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
    indexable,
)

from soft_students.sklearn_private import HasMethods, Interval, fit_context, num_samples
from soft_students.students.cross_fitting import check_can_cross_fit, cross_fitted, last_step
from soft_students.students.explained import Explained

if TYPE_CHECKING:
    from soft_students.teachers import Teacher


def _student_has(method: str) -> Any:
    def check(self: _Distilled) -> bool:
        getattr(getattr(self, "student_", self.student), method)
        return True

    return check


class _Distilled(Explained, MetaEstimatorMixin, BaseEstimator):
    """Base class of the distilled classifier and regressor."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "student": [HasMethods("fit")],
        "cross_fit": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    # a router: it passes weights to the student and the teacher
    __metadata_request__fit: ClassVar[dict[str, str]] = {"sample_weight": UNUSED}

    _task: ClassVar[str]
    _answer: ClassVar[str]

    def __init__(
        self,
        student: BaseEstimator,
        teacher: Any,
        *,
        cross_fit: int | None = None,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.student = student
        self.teacher = teacher
        self.cross_fit = cross_fit
        self.random_state = random_state

    @abstractmethod
    def _checked(self, y: ArrayLike) -> np.ndarray:
        """Return labels or values as an array; raise ValueError if they are invalid."""

    @abstractmethod
    def _folds(self) -> StratifiedKFold | KFold:
        """Return the splitter of rows for `cross_fit`."""

    def __sklearn_clone__(self) -> Self:
        # the default clone would copy a torch module and unfit a fitted classifier
        twin = type(self)(
            clone(self.student),
            self.teacher if self.cross_fit is None else clone(self.teacher),
            cross_fit=self.cross_fit,
            random_state=copy.deepcopy(self.random_state),
        )
        if hasattr(self, "_metadata_request"):
            twin._metadata_request = copy.deepcopy(self._metadata_request)
        return twin

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator, the student and, with `cross_fit`, the teacher.

        Parameters
        ----------
        **params : dict
            Parameters such as ``student__temperature`` or ``teacher__C``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter belongs to a fitted teacher, which is shared.
        """
        inner = [name for name in params if name.startswith("teacher__")]
        if inner and params.get("cross_fit", self.cross_fit) is None:
            raise ValueError(
                f"{type(self).__name__} does not change a fitted teacher. Got {inner[0]!r}. Set it "
                "before fitting the teacher, or pass the teacher unfitted with cross_fit."
            )
        return super().set_params(**params)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Get the teacher's targets for `X`, then fit a clone of the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            True labels or values, weighted by the student's `hard_weight`. With `cross_fit`, the
            teachers are fitted on them. None needs a teacher with class labels. Classes of the
            teacher that no label has are left out.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights for the student, or the last step of a pipeline, and, with `cross_fit`, for the
            teacher if its fit accepts them.
        **fit_params : dict
            Further parameters of the student's `fit`; those of the steps of a pipeline have the
            form ``step__parameter``. With scikit-learn's metadata routing, they go to the
            estimators that request them.

        Returns
        -------
        self
        """
        X, y = indexable(X, y)
        if y is not None:
            y = self._checked(y)
        if y is None and self.cross_fit is not None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: with "
                "cross_fit the teachers are fitted on it."
            )
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        for_student, for_teacher = self._routed(fit_params)
        if self.cross_fit is None:
            teacher: Teacher = self._given_teacher()
            if y is None and self._task == "classification" and teacher.classes_ is None:
                raise ValueError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None, and "
                    "the teacher does not name its classes. Pass y, or name them: "
                    "as_teacher(teacher, classes=[...])."
                )
            in_pipeline = isinstance(self.student, Pipeline)
            targets = (
                self._targets(teacher, X, num_samples(X)) if in_pipeline else copy.copy(teacher)
            )
            targets.only_labelled_classes = True
        else:
            check_can_cross_fit(self, self._answer, for_student)
            targets, teacher = cross_fitted(
                self.teacher, X, np.asarray(y), self._folds(), self._answer, for_teacher
            )
        student = clone(self.student)
        prefix, last = last_step(student)
        if prefix and get_config()["enable_metadata_routing"]:
            last.set_fit_request(teacher=True)
            prefix = ""
        student.fit(X, y, **{f"{prefix}teacher": targets}, **for_student)
        self.student_, self.teacher_ = student, teacher
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            if hasattr(student, name):
                setattr(self, name, getattr(student, name))
            elif hasattr(self, name):
                delattr(self, name)  # of an earlier fit
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the student's prediction of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) for several values
        """
        check_is_fitted(self)
        return self.student_.predict(X)

    @property
    def feature_importances_(self) -> np.ndarray:
        """Importances of the features, of shape (n_features,), where the student has them."""
        return last_step(self._fitted_student())[1].feature_importances_

    @property
    def coef_(self) -> np.ndarray:
        """Coefficients of the features, where the student has them."""
        return last_step(self._fitted_student())[1].coef_

    def _fitted_student(self) -> BaseEstimator:
        check_is_fitted(self)
        return self.student_

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; those of a fitted teacher are hidden, as it never changes.

        Parameters
        ----------
        deep : bool, default=True
            Also return the parameters of the student and, with `cross_fit`, of the teacher.

        Returns
        -------
        dict
        """
        params = super().get_params(deep)
        if self.cross_fit is None:
            params = {name: v for name, v in params.items() if not name.startswith("teacher__")}
        return params

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata routing: to the student's fit, and with `cross_fit` the teacher's.

        Returns
        -------
        MetadataRouter
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(student=self.student, method_mapping=to_fit)
        if self.cross_fit is not None:
            router.add(teacher=self.teacher, method_mapping=to_fit)
        return router

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        student = get_tags(self.student)
        tags.input_tags = copy.copy(student.input_tags)
        tags.target_tags.multi_output = student.target_tags.multi_output
        if self.cross_fit is not None and isinstance(self.teacher, BaseEstimator):
            teacher = get_tags(self.teacher)
            tags.input_tags.sparse &= teacher.input_tags.sparse
            tags.input_tags.allow_nan &= teacher.input_tags.allow_nan
            tags.target_tags.multi_output &= teacher.target_tags.multi_output
        return tags

    def _routed(self, fit_params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the parameters of the student's fit and those of the teacher's."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **fit_params)
            return dict(routed.student.fit), dict(routed.teacher.fit) if self.cross_fit else {}
        for_student, for_teacher = dict(fit_params), {}
        weights = for_student.pop("sample_weight", None)
        if weights is not None:
            for_student[f"{last_step(self.student)[0]}sample_weight"] = weights
            # only students accept "balanced"
            if self.cross_fit is not None and not isinstance(weights, str):
                prefix, last = last_step(self.teacher)
                if has_fit_parameter(last, "sample_weight"):
                    for_teacher[f"{prefix}sample_weight"] = weights
                else:
                    warnings.warn(
                        f"The teacher {type(last).__name__} takes no sample_weight: the weights "
                        "are used for the student only.",
                        UserWarning,
                        stacklevel=4,
                    )
        return for_student, for_teacher

    def _given_teacher(self) -> Teacher:
        from soft_students.teachers import ArrayTeacher, as_teacher

        teacher = as_teacher(self.teacher, task=self._task)
        if isinstance(teacher, ArrayTeacher):
            raise ValueError(
                f"{type(self).__name__} needs a teacher that predicts any rows; an array belongs "
                "to one X. Call student.fit(X, array), or pass the model that made it."
            )
        return teacher

    def _targets(self, teacher: Teacher, X: Any, n_samples: int) -> Teacher:
        """Return the teacher's outputs for raw rows, for a student that gets transformed rows."""
        from soft_students.targets import check_logits
        from soft_students.teachers import ArrayTeacher

        if teacher.task == "regression":
            return ArrayTeacher(teacher.predict(X), task="regression")
        logits = check_logits(teacher.logits(X), n_samples)
        return ArrayTeacher(logits, kind="logits", classes=teacher.classes_)


class DistilledClassifier(ClassifierMixin, _Distilled):
    """A student with its teacher: ``fit(X, y)`` labels the rows of `X` with the teacher.

    The teacher gets the original `X`, before any preprocessing in the student, which may therefore
    be a whole :class:`~sklearn.pipeline.Pipeline`. A fitted teacher is never fitted again, copied
    or changed, neither by `fit` nor by cloning: searches and cross-validation share it. A teacher
    is overconfident on the rows that it was fitted on; with `cross_fit`, each row is labelled by a
    teacher that was fitted on other rows.

    Parameters
    ----------
    student : estimator
        A student of this package, or a pipeline that ends in one. A clone of it is fitted.
    teacher : object
        Anything that :func:`~soft_students.teachers.as_teacher` takes, except an array, which has
        no outputs for a subset of the rows. With `cross_fit`, an unfitted estimator or pipeline
        with `fit` and `predict_proba`, of which clones are fitted.
    cross_fit : int or None, default=None
        Number of folds of out-of-fold targets. Rows are split into folds, stratified and shuffled;
        a clone of the teacher that is fitted on all other folds predicts each fold. A class that is
        missing in the other folds has probability zero. Another clone is fitted on all rows, for
        `teacher_`. None uses a fitted teacher.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds. The teacher and the student have their own.

    Attributes
    ----------
    student_ : estimator
        The fitted student.
    teacher_ : Teacher
        The given teacher or, with `cross_fit`, the one fitted on all rows.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
        Number of features of the student, if it defines it.
    feature_names_in_ : ndarray of str
        Names of the features of the student, if it defines them.

    See Also
    --------
    soft_students.evaluation.get_scorer : Score a search by fidelity to `teacher_`.

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

    That teacher was fitted on the test folds, too. This one is not:

    >>> from sklearn.base import clone
    >>> honest = DistilledClassifier(student, clone(teacher), cross_fit=3, random_state=0)
    >>> honest.fit(X, y).teacher_
    EstimatorTeacher('MLPClassifier', n_classes=3, n_features=4)
    """

    _task = "classification"
    _answer = "predict_proba"

    @available_if(_student_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the student's class probabilities, of shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.student_.predict_proba(X)

    @available_if(_student_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the student's scores, of shape (n_samples,) or (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.student_.decision_function(X)

    def _checked(self, y: ArrayLike) -> np.ndarray:
        y = np.asarray(column_or_1d(y, warn=True))
        check_classification_targets(y)
        return y

    def _folds(self) -> StratifiedKFold:
        return StratifiedKFold(self.cross_fit, shuffle=True, random_state=self.random_state)


class DistilledRegressor(RegressorMixin, _Distilled):
    """A student of values with its teacher: :class:`DistilledClassifier` for regression.

    Parameters
    ----------
    student : estimator
        A regressor of this package, or a pipeline that ends in one. A clone of it is fitted.
    teacher : object
        A fitted regressor, a module or callable that returns values, or a list of these. With
        `cross_fit`, an unfitted estimator or pipeline with `fit` and `predict`, of which clones are
        fitted.
    cross_fit : int or None, default=None
        Number of folds of out-of-fold targets, as in `DistilledClassifier`; folds are shuffled.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds.

    Attributes
    ----------
    student_ : estimator
        The fitted student.
    teacher_ : Teacher
        The given teacher or, with `cross_fit`, the one fitted on all rows.
    n_features_in_ : int
        Number of features of the student, if it defines it.
    feature_names_in_ : ndarray of str
        Names of the features of the student, if it defines them.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from soft_students import DecisionTreeStudentRegressor, DistilledRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> teacher = RandomForestRegressor(n_estimators=20, random_state=0)
    >>> student = DecisionTreeStudentRegressor(max_depth=4, random_state=0)
    >>> distilled = DistilledRegressor(student, teacher, cross_fit=3, random_state=0).fit(X, y)
    >>> bool(distilled.score(X, y) > 0.4)
    True
    """

    _task = "regression"
    _answer = "predict"

    def _checked(self, y: ArrayLike) -> np.ndarray:
        values: np.ndarray = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        if values.ndim == 2 and values.shape[1] == 1:
            return column_or_1d(values, warn=True)
        return values

    def _folds(self) -> KFold:
        return KFold(self.cross_fit, shuffle=True, random_state=self.random_state)
