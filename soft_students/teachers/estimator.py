"""A fitted scikit-learn compatible estimator as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBClassifier

from soft_students.teachers.base import Teacher, log_of_probabilities, two_columns


class EstimatorTeacher(Teacher):
    """A fitted classifier or regressor with scikit-learn's interface, pipelines included.

    Logits are the raw margins of an `XGBClassifier`, and logarithms of `predict_proba` otherwise.

    Parameters
    ----------
    estimator : estimator
        Fitted. It is not copied.
    input_range : tuple of float, default=None

    Raises
    ------
    TypeError
        If it is a classifier without probabilities, or neither classifier nor regressor.
    NotFittedError
        If it is not fitted.
    """

    def __init__(
        self, estimator: Any, *, input_range: tuple[float, float] | None = None
    ) -> None:
        check_is_fitted(estimator)
        self.estimator = estimator
        self.name = type(estimator).__name__
        self.input_range_ = input_range
        self.n_features_in_ = getattr(estimator, "n_features_in_", None)
        if is_regressor(estimator):
            self.task = "regression"
        elif not is_classifier(estimator):
            raise TypeError(f"A teacher must be a classifier or a regressor. Got {estimator!r}.")
        elif not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{self.name} has no predict_proba, and so no soft targets. Fit it inside "
                "sklearn.calibration.CalibratedClassifierCV."
            )
        else:
            self.classes_ = np.asarray(estimator.classes_)
            if self.classes_.dtype == object and not isinstance(self.classes_[0], (str, int)):
                raise TypeError(f"{self.name} has several outputs; a teacher has one.")

    def _outputs(self, X: Any) -> np.ndarray:
        if self.task == "regression":
            return np.asarray(self.estimator.predict(X))
        if isinstance(self.estimator, XGBClassifier):
            margins = self.estimator.predict(X, output_margin=True)
            return two_columns(margins) if margins.ndim == 1 else margins
        return log_of_probabilities(self.estimator.predict_proba(X))
