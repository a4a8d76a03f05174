"""Base classes of the classical students: rows, targets and weights of their `fit`."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from soft_students.labelled.parts import LabelledParts
from soft_students.sklearn_private import Interval, StrOptions, fit_context
from soft_students.students.classical.columns import Columns, is_frame
from soft_students.students.copies import taught_copies
from soft_students.students.declared import Declared
from soft_students.students.missing import validate_rows
from soft_students.students.refitting import unchanged_on_failure
from soft_students.students.restoring import (
    read_classes,
    read_temperature,
    restore_feature_names,
    restore_hard_weight,
)
from soft_students.students.supervision import (
    Ask,
    check_weights,
    class_supervision,
    value_supervision,
)
from soft_students.students.tuning import class_settings, value_settings
from soft_students.transfer import Transfer

#: Upper bound for `n_features` in files; larger values are corrupt or malicious.
_MOST_FEATURES = 2**24


class ClassicalStudent(Declared, BaseEstimator):
    """Base class of students that are fitted on all rows and targets at once.

    Subclasses define `_learn`, and how outputs are computed.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hard_weight": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "transfer": [Transfer, None],
        "transfer_copies": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    #: Whether rows may contain NaN.
    _takes_missing: ClassVar[bool] = False

    #: Whether rows may contain codes of categories, in the columns of `is_categorical_`.
    _takes_categories: ClassVar[bool] = False

    #: Columns of the DataFrame in training; None after training on an array.
    _columns: Columns | None = None

    #: Mask of the columns of the dtype ``category``; None without such columns.
    is_categorical_: np.ndarray | None

    @property
    def _calibration_size(self) -> int:
        """Number of parameters that turn the outputs of regressions into logits."""
        return 0

    @abstractmethod
    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        """Fit `targets` of shape (n, n_outputs) and store the fitted values.

        `weights`, of shape (n,), are positive; None means equal weights.
        """

    def _rows(self, X: Any, *, reset: bool) -> np.ndarray:
        if isinstance(X, LabelledParts):
            raise TypeError(
                f"{type(self).__name__} keeps all rows in memory, and LabelledParts may be larger. "
                "Use a soft tree or a neural student, or XGBoost by "
                "soft_students.dask.fit_xgboost. If they fit into memory, load them: "
                "np.concatenate([part.X() for part in parts])."
            )
        if reset:
            self._learn_columns(X)
        else:
            check_is_fitted(self)
        if self._columns is not None and self.is_categorical_ is not None:
            if not is_frame(X):
                raise ValueError(
                    f"{type(self).__name__} was fitted on a DataFrame with the categorical columns "
                    f"{self._columns.categorical_names()}. Pass a DataFrame: the numbers of an "
                    "array do not identify categories."
                )
            if not reset:  # names and number of columns, before columns are read by position
                validate_data(self, X, reset=False, skip_check_array=True)
            X = self._columns.codes(X)
        return validate_rows(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan" if self._takes_missing else True,
        )

    def _learn_columns(self, X: Any) -> None:
        name = type(self).__name__
        self._columns, self.is_categorical_ = None, None
        if not is_frame(X):
            return
        self._columns = Columns.of(X, name)
        coded = self._columns.categorical_names()
        if coded and not self._takes_categories:
            raise ValueError(
                f"{name} does not take categorical columns, but X has {coded}. Encode them in a "
                "Pipeline, with OneHotEncoder or OrdinalEncoder in a ColumnTransformer, and wrap "
                "it in DistilledClassifier, which passes the original rows to the teacher; or use "
                "a student that takes them, such as XGBoostStudentClassifier."
            )
        if coded:
            self.is_categorical_ = self._columns.is_categorical

    def _as_given(self, rows: np.ndarray) -> Any:
        """Return rows in the form that the teacher takes."""
        return rows if self._columns is None else self._columns.frame(rows)

    def _learn_from(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        ask: Ask | None,
        unlabeled: tuple[np.ndarray, np.ndarray] | None,
        sample_weight: ArrayLike | None,
    ) -> None:
        """Gather the training set, unlabelled and transferred rows included, and learn it."""
        weights = check_weights(sample_weight, X)
        originals = np.arange(len(X))
        if unlabeled is not None:
            X = np.concatenate([X, unlabeled[0].astype(X.dtype, copy=False)])
            targets = np.concatenate([targets, unlabeled[1]])
            if weights is not None:
                weights = np.append(weights, np.ones(len(unlabeled[0])))
        if self.transfer is not None:
            random_state = check_random_state(self.random_state)
            copies = taught_copies(
                self, X, targets, originals, ask, random_state, self.is_categorical_
            )
            rows, all_targets = zip((X, targets), *copies, strict=True)
            X, targets = np.concatenate(rows), np.concatenate(all_targets)
            weights = None if weights is None else np.tile(weights, len(rows))
        if weights is not None and not weights.all():
            kept = weights > 0
            X, targets, weights = X[kept], targets[kept], weights[kept]
        self._learn(X, targets, weights)

    def _names_state(self) -> dict[str, Any]:
        """Return a bundle's metadata of the rows: features, names, categories."""
        state: dict[str, Any] = {"n_features": self.n_features_in_}
        if hasattr(self, "hard_weight_"):
            state["hard_weight"] = self.hard_weight_
        if hasattr(self, "feature_names_in_"):
            state["feature_names"] = self.feature_names_in_
        if self._columns is not None and self.is_categorical_ is not None:
            state |= self._columns.state()
        return state

    def _restore_names(self, metadata: dict[str, Any]) -> int:
        """Check and restore the metadata of `_names_state`; return the number of features."""
        n_features, names = metadata["n_features"], metadata.get("feature_names")
        if type(n_features) is not int or not 1 <= n_features <= _MOST_FEATURES:
            raise ValueError(f"n_features must be an integer from 1 to {_MOST_FEATURES}")
        restore_feature_names(self, metadata, n_features)
        restore_hard_weight(self, metadata)
        self.n_features_in_, self.is_categorical_ = n_features, None
        if "categories" in metadata:
            known = list(range(n_features)) if names is None else names.tolist()
            self._columns = Columns.restored(metadata, known)
            self.is_categorical_ = self._columns.is_categorical
        return n_features

    @abstractmethod
    def _output_state(self) -> dict[str, Any]:
        """Return a bundle's metadata of the outputs."""

    @abstractmethod
    def _restore_outputs(self, metadata: dict[str, Any]) -> int:
        """Check and restore the metadata of `_output_state`; return the number of outputs."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_missing
        return tags


class ClassicalStudentClassifier(ClassifierMixin, ClassicalStudent):
    """Base class of the classical classifiers; subclasses also define `predict_proba`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudent._parameter_constraints,
        "temperature": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        labels: ArrayLike | None = None,
        teacher: Any = None,
        sample_weight: ArrayLike | None = None,
        X_unlabeled: ArrayLike | None = None,
    ) -> Self:
        """Train the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A DataFrame may have columns of the dtype ``category`` if the student takes them; the
            teacher gets the original DataFrame.
        y : teacher, array-like of shape (n_samples, n_classes) or array-like of shape (n_samples,)
            A teacher (anything that :func:`~soft_students.teachers.as_teacher` takes), its
            probabilities for the rows of `X`, or labels.
        labels : array-like of shape (n_samples,), default=None
            True labels in addition to the teacher, for `hard_weight`.
        teacher : object, default=None
            The teacher, if `y` holds the true labels.
        sample_weight : array-like of shape (n_samples,) or "balanced", default=None
            Non-negative weights. "balanced" gives all classes the same total weight.
        X_unlabeled : array-like of shape (n, n_features), default=None
            Additional rows, labelled by the teacher, with weight one. A transfer set is made from
            them, too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the arguments do not fit each other; the message describes the conflict.
        """
        with unchanged_on_failure(self):
            rows = self._rows(X, reset=True)
            lesson = class_supervision(self, _shown(X, rows), y, labels, teacher, self.hard_weight)
            sample_weight = lesson.row_weights(sample_weight)
            temperature, hard_weight = class_settings(self, _shown(X, rows), lesson, sample_weight)
            unlabeled = None
            if X_unlabeled is not None:
                more = self._rows(X_unlabeled, reset=False)
                unlabeled = more, lesson.ask_about(_shown(X_unlabeled, more), temperature)
            ask = lesson.asker(temperature, hard_weight)
            self.classes_ = lesson.classes
            self.temperature_, self.hard_weight_ = temperature, hard_weight
            self._learn_from(
                rows,
                lesson.targets(temperature, hard_weight),
                None if ask is None else lambda made, of: ask(self._as_given(made), of),
                unlabeled,
                sample_weight,
            )
        return self

    @abstractmethod
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

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)  # first, since it raises NotFittedError
        return self.classes_[probabilities.argmax(axis=1)]

    def _output_state(self) -> dict[str, Any]:
        return {"classes": self.classes_, "temperature": self.temperature_}

    def _restore_outputs(self, metadata: dict[str, Any]) -> int:
        self.classes_, self.temperature_ = read_classes(metadata), read_temperature(metadata)
        return len(self.classes_)


class ClassicalStudentRegressor(RegressorMixin, ClassicalStudent):
    """Base class of the classical regressors; subclasses also define `_values`."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        labels: ArrayLike | None = None,
        teacher: Any = None,
        sample_weight: ArrayLike | None = None,
        X_unlabeled: ArrayLike | None = None,
    ) -> Self:
        """Train the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : teacher or array-like of shape (n_samples,) or (n_samples, n_outputs)
            A fitted regressor or callable, or values.
        labels : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            True values in addition to the teacher, for `hard_weight`.
        teacher : object, default=None
            The teacher, if `y` holds the true values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        X_unlabeled : array-like of shape (n, n_features), default=None
            Additional rows, labelled by the teacher, with weight one. A transfer set is made from
            them, too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the arguments do not fit each other; the message describes the conflict.
        """
        with unchanged_on_failure(self):
            rows = self._rows(X, reset=True)
            shown = _shown(X, rows)
            lesson = value_supervision(self, shown, y, labels, teacher, self.hard_weight)
            hard_weight = value_settings(self, shown, lesson, sample_weight)
            targets, ask = lesson.targets(hard_weight), lesson.asker(hard_weight)
            self.hard_weight_ = hard_weight
            self._flat = targets.ndim == 1
            self.n_outputs_ = 1 if self._flat else targets.shape[1]
            unlabeled = None
            if X_unlabeled is not None:
                if ask is None:
                    raise ValueError(
                        "X_unlabeled needs a teacher to label it. Pass one, or leave X_unlabeled "
                        "out."
                    )
                more = self._rows(X_unlabeled, reset=False)
                values = ask(_shown(X_unlabeled, more), None)
                unlabeled = more, values.reshape(len(more), -1)
            self._learn_from(
                rows,
                targets.reshape(len(rows), -1),
                None
                if ask is None
                else lambda made, of: ask(self._as_given(made), of).reshape(len(made), -1),
                unlabeled,
                sample_weight,
            )
        return self

    @abstractmethod
    def _values(self, X: np.ndarray) -> np.ndarray:
        """Return values of shape (n, n_outputs)."""

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the value of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values, in the shape of the training targets.
        """
        values = self._values(self._rows(X, reset=False))
        return values.reshape(-1) if self._flat else values.reshape(-1, self.n_outputs_)

    def _output_state(self) -> dict[str, Any]:
        return {"n_outputs": self.n_outputs_, "flat": self._flat}

    def _restore_outputs(self, metadata: dict[str, Any]) -> int:
        n_outputs, flat = metadata["n_outputs"], metadata["flat"]
        if type(n_outputs) is not int or n_outputs < 1 or type(flat) is not bool:
            raise ValueError("n_outputs must be a positive integer and flat true or false")
        if flat and n_outputs != 1:
            raise ValueError(f"a flat target has one output, not {n_outputs}")
        self.n_outputs_, self._flat = n_outputs, flat
        return n_outputs

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _shown(X: Any, rows: np.ndarray) -> Any:
    """Return what the teacher is shown: a DataFrame as it comes, the checked rows otherwise."""
    return X if hasattr(X, "columns") else rows
