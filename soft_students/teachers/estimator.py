"""A fitted scikit-learn compatible estimator as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBClassifier

from soft_students.columns import columns_of
from soft_students.teachers.base import Teacher

# Objectives for which XGBoost's raw margins are the logits of predict_proba.
_MARGINS_ARE_LOGITS = ("binary:logistic", "multi:softprob", "multi:softmax")


class EstimatorTeacher(Teacher):
    """A fitted classifier or regressor with scikit-learn's interface, pipelines included.

    Logits are the raw margins of an `XGBClassifier`, and the logarithms of `predict_proba`
    otherwise.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator; not copied.
    classes : array-like of shape (n_classes,), default=None
        Labels of the columns of `predict_proba`, e.g. for an XGBoost classifier, which numbers its
        classes. None takes the estimator's own.
    input_range : tuple of float, default=None
        Smallest and largest value of the training data.

    Raises
    ------
    TypeError
        If the estimator is a classifier without probabilities or with several outputs, or neither
        classifier nor regressor.
    NotFittedError
        If the estimator is not fitted.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        classes: Any = None,
        input_range: tuple[float, float] | None = None,
    ) -> None:
        name = type(estimator).__name__
        if isinstance(estimator, BaseEstimator):
            check_is_fitted(estimator)
        self.estimator = estimator
        gives_probabilities = hasattr(estimator, "predict_proba")
        if gives_probabilities:
            classes = _check_classes(estimator, classes)
        elif not (isinstance(estimator, BaseEstimator) and is_regressor(estimator)):
            raise TypeError(
                f"{name} has no predict_proba, hence no soft targets. If it is a classifier, fit "
                "it inside sklearn.calibration.CalibratedClassifierCV."
            )
        self._margins = (
            isinstance(estimator, XGBClassifier) and estimator.objective in _MARGINS_ARE_LOGITS
        )
        super().__init__(
            name=name,
            task="classification" if gives_probabilities else "regression",
            kind="logits" if self._margins else "probabilities",
            classes=classes,
            n_features=getattr(estimator, "n_features_in_", None),
            input_range=input_range,
        )

    @property
    def feature_names_in_(self) -> list[str] | None:
        """Names of the features that the estimator was fitted on, in their order."""
        return columns_of(self.estimator)

    def _outputs(self, X: Any) -> Any:
        if self.task == "regression":
            return self.estimator.predict(X)
        if self._margins:
            return self.estimator.predict(X, output_margin=True)
        return self.estimator.predict_proba(X)


def _check_classes(estimator: Any, classes: Any) -> Any:
    own = getattr(estimator, "classes_", None)
    if own is not None and (isinstance(own, list) or np.ndim(own) != 1):
        raise TypeError(
            f"{type(estimator).__name__} has several outputs, but a teacher has one. Fit one model "
            "per output."
        )
    if classes is None:
        return own
    if own is not None and len(classes) != len(own):
        raise ValueError(
            f"The 'classes' of a teacher must name each of its columns. Got {len(classes)} for the "
            f"{len(own)} classes of {type(estimator).__name__}."
        )
    return classes
