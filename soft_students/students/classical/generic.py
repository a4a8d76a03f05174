"""Any scikit-learn estimator as a student."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import has_fit_parameter

from soft_students.sklearn_private import HasMethods
from soft_students.students.classical.base import ClassicalStudent, ClassicalStudentRegressor
from soft_students.students.classical.linear import _take_linear
from soft_students.students.classical.logits import LogitStudentClassifier
from soft_students.targets import sharpen
from soft_students.transfer import Transfer

#: Classes with a smaller probability are left out of a classifier's rows.
LEAST_SHARE = 1e-5


def _seed(estimator: BaseEstimator, random_state: int | RandomState | None) -> None:
    """Set each parameter `random_state`, of nested estimators too."""
    rng = check_random_state(random_state)
    names = sorted(estimator.get_params(deep=True))
    seeded = [n for n in names if n == "random_state" or n.endswith("__random_state")]
    estimator.set_params(**{name: rng.randint(np.iinfo(np.int32).max) for name in seeded})


class _GenericStudent(ClassicalStudent):
    """Base class of the generic students: one clone of the estimator per output, or for all."""

    def _chosen(self) -> BaseEstimator:
        return Ridge() if self.estimator is None else self.estimator

    @property
    def _takes_missing(self) -> bool:  # type: ignore[override]
        return get_tags(self._chosen()).input_tags.allow_nan

    def _fitted(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> BaseEstimator:
        estimator = clone(self._chosen())
        if self.random_state is not None:
            _seed(estimator, self.random_state)
        if weights is None:
            return estimator.fit(X, y)
        if not has_fit_parameter(estimator, "sample_weight"):
            name = type(self).__name__
            raise ValueError(
                f"{type(estimator).__name__}.fit takes no sample_weight, which {name} needs for "
                "sample weights and for soft targets of a classifier. Pass no weights and use a "
                "regressor; put a Pipeline around the student, not inside."
            )
        return estimator.fit(X, y, sample_weight=weights)

    def _fit_values(self, X: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> None:
        together = values.shape[1] > 1 and get_tags(self._chosen()).target_tags.multi_output
        columns = [values] if together else values.T
        self.estimators_ = [self._fitted(X, column, weights) for column in columns]

    def _values(self, X: np.ndarray) -> np.ndarray:
        return np.column_stack([estimator.predict(X) for estimator in self.estimators_])

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        if self.estimator is not None:
            raise TypeError(
                f"A bundle supports {type(self).__name__} with estimator=None only, since "
                f"restoring a {type(self.estimator).__name__} could run any code. Save it by "
                "joblib.dump(student, path) and load it by soft_students.load(path, trust=True); "
                "or use another student (softkd students)."
            )
        (ridge,) = self.estimators_
        return {**self._names_state(), **self._output_state()}, {
            "coef": np.atleast_2d(ridge.coef_),
            "intercept": np.atleast_1d(ridge.intercept_),
        }

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        if self.estimator is not None:
            raise ValueError("estimator must be None in a bundle")
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        ridge = Ridge()
        ridge.coef_, ridge.intercept_ = _take_linear(arrays, n_outputs, n_features)
        ridge.n_features_in_ = n_features
        self.estimators_ = [ridge]


class GenericStudentClassifier(_GenericStudent, LogitStudentClassifier):
    """Any scikit-learn regressor or classifier, trained on a teacher or on labels.

    A regressor is fitted on logits: logarithms of the teacher's probabilities (clipped at 0.001)
    minus the mean of the row. A scale and biases, fitted to the soft cross-entropy on the training
    rows, turn its outputs into logits. A classifier is fitted on each row once per class, weighted
    by the class's probability; those below 0.00001 are left out.

    Parameters
    ----------
    estimator : estimator or None, default=None
        A regressor, or a classifier with `sample_weight` in `fit` and with `predict_proba`. Clones
        are fitted: one for all logits if it is a regressor of several outputs, otherwise one per
        logit. None means :class:`sklearn.linear_model.Ridge`.
    temperature : float or "auto", default=1.0
        T of the soft targets; `predict_proba` undoes it. A regression on logits scales with T,
        which matters little there. Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    transfer : Transfer or None, default=None
        Makes additional rows, labelled by the teacher.
    transfer_copies : int, default=4
        Rows made from each training row.
    random_state : int, RandomState instance or None, default=None
        Seed of `transfer` and of the estimator; None keeps the estimator's own.

    Attributes
    ----------
    estimators_ : list of estimators
        The classifier, the regressor of all outputs, or one regressor per output. Two classes have
        one output, that of the second.
    scale_ : float
    bias_ : ndarray of shape (n_classes,)
        For regressors, logits at `temperature_` are ``scale_ * outputs + bias_``.
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from soft_students.students import GenericStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = GenericStudentClassifier(GaussianNB()).fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LogitStudentClassifier._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        if not is_classifier(self._chosen()):
            super()._learn(X, targets, weights)
            return
        rows, codes = np.nonzero(targets >= LEAST_SHARE)
        shares = targets[rows, codes]
        if weights is not None:
            shares = shares * weights[rows]
        self.estimators_ = [self._fitted(X[rows], codes, shares)]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class, at temperature one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        rows = self._rows(X, reset=False)
        (first, *_) = self.estimators_
        if not is_classifier(first):
            return super().predict_proba(X)
        probabilities = np.zeros((len(rows), len(self.classes_)))
        probabilities[:, first.classes_] = first.predict_proba(rows)
        return sharpen(probabilities, self.temperature_)


class GenericStudentRegressor(_GenericStudent, ClassicalStudentRegressor):
    """Any scikit-learn regressor, trained on a regressor or on values.

    Parameters
    ----------
    estimator : estimator or None, default=None
        A regressor. Clones are fitted: one for all outputs if it supports several, otherwise one
        per output. None means :class:`sklearn.linear_model.Ridge`.
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    transfer, transfer_copies, random_state
        See :class:`GenericStudentClassifier`.

    Attributes
    ----------
    estimators_ : list of estimators
        The regressor of all outputs, or one per output.
    n_outputs_, n_features_in_ : int
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        hard_weight: float | str = 0.0,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.hard_weight = hard_weight
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        if is_classifier(self._chosen()):
            raise ValueError(
                f"The 'estimator' parameter of {type(self).__name__} must be a regressor. Got the "
                f"classifier {type(self.estimator).__name__} instead."
            )
        self._fit_values(X, targets, weights)
