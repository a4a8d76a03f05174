"""Gradient-boosted trees, by XGBoost's own training on soft targets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import xgboost
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from xgboost import DMatrix, QuantileDMatrix, XGBClassifier, XGBRegressor

from soft_students.students.classical.base import (
    ClassicalStudent,
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.constraints import interaction_groups, monotone_signs
from soft_students.students.classical.soft_cross_entropy import SoftCrossEntropy
from soft_students.students.classical.xgboost_model import check_model
from soft_students.students.explained import Explained
from soft_students.transfer import Transfer

_OWN = ("temperature", "hard_weight", "transfer", "transfer_copies", "early_stopping_rounds")

_SHARED: dict[str, list[Any]] = {
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "max_depth": [Interval(Integral, 0, None, closed="left"), None],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
    "min_child_weight": [Interval(Real, 0, None, closed="left"), None],
    "subsample": [Interval(Real, 0, 1, closed="right"), None],
    "colsample_bytree": [Interval(Real, 0, 1, closed="right"), None],
    "reg_alpha": [Interval(Real, 0, None, closed="left"), None],
    "reg_lambda": [Interval(Real, 0, None, closed="left"), None],
    "gamma": [Interval(Real, 0, None, closed="left"), None],
    "max_leaves": [Interval(Integral, 0, None, closed="left"), None],
    "grow_policy": [StrOptions({"depthwise", "lossguide"}), None],
    "colsample_bylevel": [Interval(Real, 0, 1, closed="right"), None],
    "colsample_bynode": [Interval(Real, 0, 1, closed="right"), None],
    "max_delta_step": [Interval(Real, 0, None, closed="left"), None],
    "monotone_constraints": ["array-like", dict, None],
    "interaction_constraints": ["array-like", None],
    "max_cat_to_onehot": [Interval(Integral, 1, None, closed="left"), None],
    "max_bin": [Interval(Integral, 2, None, closed="left"), None],
    "tree_method": [StrOptions({"auto", "exact", "approx", "hist"}), None],
    "multi_strategy": [StrOptions({"one_output_per_tree", "multi_output_tree"}), None],
    "early_stopping_rounds": [Interval(Integral, 1, None, closed="left"), None],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_jobs": [Integral, None],
    "device": [str, None],
}


class _BoostedStudent(Explained, ClassicalStudent):
    """What both boosted students share: XGBoost's parameters, and the model as bytes."""

    _takes_missing = True
    _takes_categories = True
    _library: ClassVar[type]

    @abstractmethod
    def _objective(self, n_outputs: int) -> str:
        """Return what XGBoost calls the loss."""

    def _make(self, **more: Any) -> Any:
        known = self._library().get_params()
        chosen = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name in known and name not in _OWN
        }
        chosen["monotone_constraints"] = monotone_signs(self.monotone_constraints, self)
        groups = interaction_groups(self.interaction_constraints, self)
        # XGBoost takes numbers in a string only
        chosen["interaction_constraints"] = None if groups is None else str(groups)
        chosen["enable_categorical"] = self.is_categorical_ is not None
        # XGBoost takes integers only
        chosen["random_state"] = int(
            check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        )
        return self._library(**chosen, **more)

    def _table(self, X: np.ndarray) -> Any:
        """Return rows as XGBoost shall see them: it then keeps names and categories itself."""
        return X if self.is_categorical_ is None else self._as_given(X)

    def _split(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Return training and validation rows, targets and weights."""
        return train_test_split(
            X,
            targets,
            weights,
            test_size=self.validation_fraction,
            random_state=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
        )

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        model = np.frombuffer(self.estimator_.get_booster().save_raw("ubj"), dtype=np.uint8)
        return {**self._names_state(), **self._output_state()}, {"model": model}

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        model = arrays.get("model")
        if model is None or model.dtype != np.uint8 or model.ndim != 1:
            raise ValueError("the model must be an array of bytes")
        check_model(
            model.tobytes(),
            self._objective(n_outputs),
            1 if self._objective(n_outputs) == "binary:logistic" else n_outputs,
            n_features,
            None if self._columns is None else self._columns.categories,
        )
        estimator = self._library()
        try:
            estimator.load_model(bytearray(model.tobytes()))
        except xgboost.core.XGBoostError as error:
            raise ValueError(f"XGBoost cannot read its model: {str(error)[:200]}") from error
        if estimator.get_booster().num_features() != n_features:
            raise ValueError(f"the model is not one of {n_features} features")
        kinds = estimator.get_booster().feature_types or [""] * n_features
        coded = np.array([kind == "c" for kind in kinds])
        expected = np.zeros(n_features) if self.is_categorical_ is None else self.is_categorical_
        if not np.array_equal(coded, expected):
            raise ValueError("the model has other categorical columns")
        if getattr(estimator, "n_classes_", n_outputs) != n_outputs:
            raise ValueError(f"the model is not one of {n_outputs} classes")
        self.estimator_ = estimator


class XGBoostStudentClassifier(_BoostedStudent, ClassicalStudentClassifier):
    """Gradient-boosted trees, taught by a network or by labels.

    XGBoost trains on the softmax cross-entropy :math:`T^2 H(q, softmax(z / T))` of the teacher's
    distribution q at temperature T, so that the margins z are logits at temperature one: the fitted
    student *is* the plain ``XGBClassifier`` in `estimator_`. Two classes take one tree a round, as
    XGBoost's own.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T. Ignored on labels alone.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher, in [0, 1]. "auto", here and as the
        temperature, is chosen on held-out rows: see :mod:`soft_students.students.tuning`.
    n_estimators, max_depth, learning_rate, min_child_weight, subsample, colsample_bytree, \
reg_alpha, reg_lambda, gamma, max_leaves, grow_policy, colsample_bylevel, colsample_bynode, \
max_delta_step, max_cat_to_onehot, max_bin, tree_method, multi_strategy, n_jobs, device
        As in :class:`xgboost.XGBClassifier`; None takes XGBoost's default.
    monotone_constraints : array-like of shape (n_features,) or dict of str to int, default=None
        By feature or by name: 1 where the margins may only rise with it, -1 where they may only
        fall, 0 otherwise. Of more than two classes the margin of each is so constrained.
    interaction_constraints : sequence of sequences of int or str, default=None
        Groups of features, by number or name: a branch splits on features of one group.
    base_score : float, array-like of shape (n_classes,) or None, default=None
        A probability that all classes start from, or the logit of each. None starts from the mean
        target.
    early_stopping_rounds : int or None, default=None
        Hold out `validation_fraction` of the rows, stop after so many rounds without a lower soft
        log-loss on them, and keep the trees up to the best round.
    validation_fraction : float, default=0.1
    transfer : Transfer or None, default=None
        Makes further rows, which the teacher labels.
    transfer_copies : int, default=4
        Rows made from each training row.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    estimator_ : xgboost.XGBClassifier
        Predicts the number of the class, in the order of `classes_`. It knows the categories of a
        DataFrame itself.
    classes_ : ndarray of shape (n_classes,)
    is_categorical_ : ndarray of bool, shape (n_features,), or None
        The columns of the dtype ``category``; None if there were none.
    temperature_, hard_weight_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X had string column names.

    Notes
    -----
    Columns of the dtype ``category`` are split by category, as XGBoost does; a category that
    training had not counts as a missing value. After training on such columns `predict` takes
    DataFrames alone; their categories are matched by value, whatever their order.

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, section 2, for the factor T².

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import XGBoostStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = XGBoostStudentClassifier(n_estimators=20, random_state=0).fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _library = XGBClassifier
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **_SHARED,
        "base_score": [Interval(Real, 0, 1, closed="neither"), "array-like", None],
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        n_estimators: int = 100,
        max_depth: int | None = None,
        learning_rate: float | None = None,
        min_child_weight: float | None = None,
        subsample: float | None = None,
        colsample_bytree: float | None = None,
        reg_alpha: float | None = None,
        reg_lambda: float | None = None,
        gamma: float | None = None,
        max_leaves: int | None = None,
        grow_policy: str | None = None,
        colsample_bylevel: float | None = None,
        colsample_bynode: float | None = None,
        max_delta_step: float | None = None,
        monotone_constraints: ArrayLike | Mapping[str, int] | None = None,
        interaction_constraints: Sequence[Sequence[int | str]] | None = None,
        max_cat_to_onehot: int | None = None,
        max_bin: int | None = None,
        tree_method: str | None = None,
        multi_strategy: str | None = None,
        base_score: float | ArrayLike | None = None,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.gamma = gamma
        self.max_leaves = max_leaves
        self.grow_policy = grow_policy
        self.colsample_bylevel = colsample_bylevel
        self.colsample_bynode = colsample_bynode
        self.max_delta_step = max_delta_step
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.max_cat_to_onehot = max_cat_to_onehot
        self.max_bin = max_bin
        self.tree_method = tree_method
        self.multi_strategy = multi_strategy
        self.base_score = base_score
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        weights = np.ones(len(X)) if weights is None else weights
        share = targets.T @ weights / weights.sum()
        held_out: list[tuple[DMatrix, str]] = []
        if self.early_stopping_rounds is not None:
            X, X_val, targets, targets_val, weights, weights_val = self._split(X, targets, weights)
        model, params = self._model_and_params(share)
        objective = SoftCrossEntropy(targets, weights, self.temperature_)
        # What `XGBClassifier.fit` would build; no labels, since the objective brings the targets.
        binned = self.tree_method in (None, "auto", "hist")
        matrix = QuantileDMatrix if binned else DMatrix
        bins = {"max_bin": self.max_bin} if binned and self.max_bin is not None else {}
        # XGBoost leaves weights to a custom objective; here they place the bins.
        kept: dict[str, Any] = {
            "nthread": self.n_jobs,
            "enable_categorical": self.is_categorical_ is not None,
        }
        data = matrix(self._table(X), weight=weights, **kept, **bins)
        if self.early_stopping_rounds is not None:
            reference = {"ref": data} if binned else {}
            held_out = [(matrix(self._table(X_val), **kept, **reference), "validation")]

        def soft_log_loss(margins: np.ndarray, _: DMatrix) -> tuple[str, float]:
            return "soft_log_loss", objective.loss(margins, targets_val, weights_val)

        booster = xgboost.train(
            params,
            data,
            num_boost_round=self.n_estimators,
            obj=objective,
            evals=held_out,
            custom_metric=soft_log_loss if held_out else None,
            early_stopping_rounds=self.early_stopping_rounds,
            verbose_eval=False,
        )
        if held_out:
            booster = booster[: booster.best_iteration + 1]
        model.load_model(booster.save_raw("ubj"))
        self.estimator_ = model

    def _model_and_params(self, share: np.ndarray) -> tuple[XGBClassifier, dict[str, Any]]:
        """Return an empty model, and what `xgboost.train` is to be told for classes of a share."""
        n_classes = len(share)
        if n_classes == 1:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes, got 1 class: "
                f"{self.classes_[0]!r}."
            )
        model = self._make(objective=self._objective(n_classes))
        params = model.get_xgb_params() | {
            "base_score": self._start(share),
            "disable_default_eval_metric": True,  # it needs labels
        }
        if n_classes != 2:
            params["num_class"] = n_classes
        return model, params

    def _objective(self, n_outputs: int) -> str:
        return "binary:logistic" if n_outputs == 2 else "multi:softprob"

    def _start(self, share: np.ndarray) -> Any:
        """Return the base score: as XGBoost reads it, in probability or one margin a class."""
        if isinstance(self.base_score, Real):
            return self.base_score
        if self.base_score is None:
            # As XGBoost does, so that labels start where native training starts.
            share = share + 1e-6 if len(share) > 2 else share.clip(np.finfo(np.float32).eps)
            logits = self.temperature_ * np.log(share)
            logits = np.round(logits - logits.mean(), 9)  # the same however sums are rounded
        else:
            logits = np.asarray(self.base_score, dtype=np.float64)
            if logits.shape != share.shape or not np.isfinite(logits).all():
                raise ValueError(
                    f"The 'base_score' of {type(self).__name__} must be a probability or a finite "
                    f"logit for each of {len(share)} classes. Got {self.base_score!r:.100} instead."
                )
        return float(expit(logits[1] - logits[0])) if len(share) == 2 else logits.tolist()

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
        return self.estimator_.predict_proba(rows).reshape(len(rows), len(self.classes_))


class XGBoostStudentRegressor(_BoostedStudent, ClassicalStudentRegressor):
    """Gradient-boosted trees, taught by a regressor or by values.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" is chosen on held-out
        rows: see :mod:`soft_students.students.tuning`.
    n_estimators, max_depth, learning_rate, min_child_weight, subsample, colsample_bytree, \
reg_alpha, reg_lambda, gamma, max_leaves, grow_policy, colsample_bylevel, colsample_bynode, \
max_delta_step, max_cat_to_onehot, max_bin, tree_method, multi_strategy, n_jobs, device
        As in :class:`xgboost.XGBRegressor`; None takes XGBoost's default.
    monotone_constraints, interaction_constraints, early_stopping_rounds, validation_fraction, \
transfer, transfer_copies, random_state
        As in :class:`XGBoostStudentClassifier`.

    Attributes
    ----------
    estimator_ : xgboost.XGBRegressor
    is_categorical_ : ndarray of bool, shape (n_features,), or None
        As in :class:`XGBoostStudentClassifier`.
    n_outputs_, n_features_in_ : int
    """

    _library = XGBRegressor
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **_SHARED,
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        n_estimators: int = 100,
        max_depth: int | None = None,
        learning_rate: float | None = None,
        min_child_weight: float | None = None,
        subsample: float | None = None,
        colsample_bytree: float | None = None,
        reg_alpha: float | None = None,
        reg_lambda: float | None = None,
        gamma: float | None = None,
        max_leaves: int | None = None,
        grow_policy: str | None = None,
        colsample_bylevel: float | None = None,
        colsample_bynode: float | None = None,
        max_delta_step: float | None = None,
        monotone_constraints: ArrayLike | Mapping[str, int] | None = None,
        interaction_constraints: Sequence[Sequence[int | str]] | None = None,
        max_cat_to_onehot: int | None = None,
        max_bin: int | None = None,
        tree_method: str | None = None,
        multi_strategy: str | None = None,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.gamma = gamma
        self.max_leaves = max_leaves
        self.grow_policy = grow_policy
        self.colsample_bylevel = colsample_bylevel
        self.colsample_bynode = colsample_bynode
        self.max_delta_step = max_delta_step
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.max_cat_to_onehot = max_cat_to_onehot
        self.max_bin = max_bin
        self.tree_method = tree_method
        self.multi_strategy = multi_strategy
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        targets = targets[:, 0] if self._flat else targets
        model = self._make(early_stopping_rounds=self.early_stopping_rounds)
        if self.early_stopping_rounds is None:
            model.fit(self._table(X), targets, sample_weight=weights)
        else:
            weights = np.ones(len(X)) if weights is None else weights
            X, X_val, targets, held, weights, held_weights = self._split(X, targets, weights)
            model.fit(
                self._table(X),
                targets,
                sample_weight=weights,
                eval_set=[(self._table(X_val), held)],
                sample_weight_eval_set=[held_weights],
                verbose=False,
            )
            model._Booster = model.get_booster()[: model.best_iteration + 1]
        self.estimator_ = model

    def _objective(self, n_outputs: int) -> str:
        return "reg:squarederror"

    def _values(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict(X).astype(np.float64)
