"""XGBoost students: XGBoost's own training on soft targets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import xgboost
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.special import expit
from xgboost import DMatrix, XGBClassifier, XGBRegressor

from soft_students.sklearn_private import Interval
from soft_students.students.classical.base import (
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.classical.soft_cross_entropy import SoftCrossEntropy
from soft_students.students.xgboost.base import SHARED, BoostedStudent
from soft_students.students.xgboost.rounds import train_in_rounds
from soft_students.transfer import Transfer


class XGBoostStudentClassifier(BoostedStudent, ClassicalStudentClassifier):
    """Gradient-boosted trees, trained on a teacher or on labels.

    XGBoost minimises the softmax cross-entropy :math:`T^2 H(q, softmax(z / T))` to the teacher's
    distribution q at temperature T. The margins z are thus logits at temperature one, and the
    fitted student *is* the plain ``XGBClassifier`` in `estimator_`. Two classes take one tree per
    round, as in XGBoost.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T. Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    n_estimators, max_depth, learning_rate, min_child_weight, subsample, colsample_bytree, \
reg_alpha, reg_lambda, gamma, max_leaves, grow_policy, colsample_bylevel, colsample_bynode, \
max_delta_step, max_cat_to_onehot, max_bin, tree_method, multi_strategy, n_jobs, device
        See :class:`xgboost.XGBClassifier`; None takes XGBoost's default.
    monotone_constraints : array-like of shape (n_features,) or dict of str to int, default=None
        Sign per feature, or by name: 1 if the margins may only rise with it, -1 if they may only
        fall, 0 otherwise. With more than two classes, it constrains the margin of each class.
    interaction_constraints : sequence of sequences of int or str, default=None
        Groups of features, by number or name: a branch splits on features of one group only.
    base_score : float, array-like of shape (n_classes,) or None, default=None
        Initial probability of all classes, or the initial logit of each. None starts from the mean
        target.
    early_stopping_rounds : int or None, default=None
        Stop after this many rounds without a lower soft log-loss on held-out rows
        (`validation_fraction`), and keep the trees up to the best round.
    validation_fraction : float, default=0.1
    transfer : Transfer or None, default=None
        Makes additional rows, labelled by the teacher.
    transfer_copies : int, default=4
        Rows made from each training row.
    checkpoint : str or path-like, default=None
        File for the state of the training, written every ten seconds and removed at the end.
    resume : bool, default=False
        Whether to continue from an existing `checkpoint`; on the CPU, to a bit-identical result.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    estimator_ : xgboost.XGBClassifier
        The model. It predicts positions in `classes_`, and stores the categories of a DataFrame.
    classes_ : ndarray of shape (n_classes,)
    is_categorical_ : ndarray of bool, shape (n_features,), or None
        Mask of the columns of the dtype ``category``; None without such columns.
    temperature_, hard_weight_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names of X, if they are strings.

    Notes
    -----
    Columns of the dtype ``category`` are split by category, as in XGBoost; an unknown category
    counts as a missing value. After training on such columns, `predict` needs DataFrames; their
    categories are matched by value, whatever their order.

    A checkpoint does not change the result unless trees are grown on samples (`subsample` or a
    `colsample_...` below one), since XGBoost cannot resume its random draws. Such a training is
    divided into ten parts, each with its own seed, and resumes after the last whole part. It takes
    longer, since each part begins with a prediction of all rows.

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
        **SHARED,
        "base_score": [Interval(Real, 0, 1, closed="neither"), "array-like", None],
    }

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "equal to 1e-6: single precision",
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
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
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
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        weights = np.ones(len(X)) if weights is None else weights
        share = targets.T @ weights / weights.sum()
        held_out: list[tuple[DMatrix, str]] = []
        validation: tuple[np.ndarray, ...] = ()
        if self.early_stopping_rounds is not None:
            X, X_val, targets, targets_val, weights, weights_val = self._split(X, targets, weights)
            validation = (X_val, targets_val, weights_val)
        model, params = self._model_and_params(share)
        objective = SoftCrossEntropy(targets, weights, self.temperature_)
        # weights are left to a custom objective; here they only determine the bins
        data = self._matrix(X, weight=weights)
        if self.early_stopping_rounds is not None:
            held_out = [(self._matrix(X_val, ref=data), "validation")]

        def soft_log_loss(margins: np.ndarray, _: DMatrix) -> tuple[str, float]:
            return "soft_log_loss", objective.loss(margins, targets_val, weights_val)

        metric = soft_log_loss if held_out else None
        if self.checkpoint is None:
            booster = xgboost.train(
                params,
                data,
                num_boost_round=self.n_estimators,
                obj=objective,
                evals=held_out,
                custom_metric=metric,
                early_stopping_rounds=self.early_stopping_rounds,
                verbose_eval=False,
            )
        else:
            arrays = (X, targets, weights, *validation)
            with self._rounds(params, targets.shape[1], *arrays) as rounds:
                booster = train_in_rounds(
                    rounds, params, data, objective=objective, held_out=held_out, metric=metric
                )
        if held_out:
            booster = booster[: booster.best_iteration + 1]
        model.load_model(booster.save_raw("ubj"))
        self.estimator_ = model

    def _model_and_params(self, share: np.ndarray) -> tuple[XGBClassifier, dict[str, Any]]:
        """Return an empty model and the parameters of `xgboost.train`, by shares of classes."""
        n_classes = len(share)
        if n_classes == 1:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes, got 1 class: "
                f"{self.classes_[0]!r}."
            )
        model = self._make(objective=self._objective(n_classes))
        params = model.get_xgb_params() | {
            "base_score": self._start(share),
            "disable_default_eval_metric": True,  # would need labels
        }
        if n_classes != 2:
            params["num_class"] = n_classes
        return model, params

    def _objective(self, n_outputs: int) -> str:
        return "binary:logistic" if n_outputs == 2 else "multi:softprob"

    def _start(self, share: np.ndarray) -> Any:
        """Return the base score in XGBoost's form: a probability, or one margin per class."""
        if isinstance(self.base_score, Real):
            return self.base_score
        if self.base_score is None:
            # as in XGBoost, so that training on labels starts like native training
            share = share + 1e-6 if len(share) > 2 else share.clip(np.finfo(np.float32).eps)
            logits = self.temperature_ * np.log(share)
            logits = np.round(logits - logits.mean(), 9)  # independent of the rounding of sums
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


class XGBoostStudentRegressor(BoostedStudent, ClassicalStudentRegressor):
    """Gradient-boosted trees, trained on a regressor or on values.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    n_estimators, max_depth, learning_rate, min_child_weight, subsample, colsample_bytree, \
reg_alpha, reg_lambda, gamma, max_leaves, grow_policy, colsample_bylevel, colsample_bynode, \
max_delta_step, max_cat_to_onehot, max_bin, tree_method, multi_strategy, n_jobs, device
        See :class:`xgboost.XGBRegressor`; None takes XGBoost's default.
    monotone_constraints, interaction_constraints, early_stopping_rounds, validation_fraction, \
transfer, transfer_copies, checkpoint, resume, random_state
        See :class:`XGBoostStudentClassifier`.

    Attributes
    ----------
    estimator_ : xgboost.XGBRegressor
    is_categorical_ : ndarray of bool, shape (n_features,), or None
        See :class:`XGBoostStudentClassifier`.
    n_outputs_, n_features_in_ : int
    """

    _library = XGBRegressor
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **SHARED,
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
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
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
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        targets = targets[:, 0] if self._flat else targets
        model = self._make(early_stopping_rounds=self.early_stopping_rounds)
        validation: tuple[np.ndarray, ...] = ()
        if self.early_stopping_rounds is not None:
            weights = np.ones(len(X)) if weights is None else weights
            X, X_val, targets, held, weights, held_weights = self._split(X, targets, weights)
            validation = (X_val, held, held_weights)
        if self.checkpoint is not None:
            self._learn_in_rounds(model, X, targets, weights, *validation)
        elif not validation:
            model.fit(self._table(X), targets, sample_weight=weights)
        else:
            model.fit(
                self._table(X),
                targets,
                sample_weight=weights,
                eval_set=[(self._table(X_val), held)],
                sample_weight_eval_set=[held_weights],
                verbose=False,
            )
        if validation:
            model._Booster = model.get_booster()[: model.best_iteration + 1]
        self.estimator_ = model

    def _learn_in_rounds(
        self,
        model: XGBRegressor,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *validation: np.ndarray,
    ) -> None:
        """Train like the model's `fit`, with a checkpoint."""
        data, params = self._matrix(X, label=targets, weight=weights), model.get_xgb_params()
        held_out: list[tuple[DMatrix, str]] = []
        if validation:
            X_val, held, held_weights = validation
            matrix = self._matrix(X_val, label=held, weight=held_weights, ref=data)
            held_out = [(matrix, "validation")]
        with self._rounds(params, self.n_outputs_, X, targets, weights, *validation) as rounds:
            booster = train_in_rounds(rounds, params, data, held_out=held_out)
        model.load_model(booster.save_raw("ubj"))

    def _objective(self, n_outputs: int) -> str:
        return "reg:squarederror"

    def _values(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict(X).astype(np.float64)
