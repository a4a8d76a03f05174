"""LightGBM students: LightGBM's own training on soft targets."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.special import expit, softmax, xlogy

from soft_students.students.classical.base import (
    ClassicalStudentClassifier,
    ClassicalStudentRegressor,
)
from soft_students.students.lightgbm.base import SHARED, LightGBMStudent, load_lightgbm
from soft_students.students.lightgbm.text import constant_text
from soft_students.transfer import Transfer


class LightGBMStudentClassifier(LightGBMStudent, ClassicalStudentClassifier):
    """Gradient-boosted trees of LightGBM, trained on a teacher or on labels.

    LightGBM minimises the softmax cross-entropy :math:`T^2 H(q, softmax(z / T))` to the teacher's
    distribution q at temperature T, with its own second derivative :math:`C / (C - 1) p (1 - p)`
    for C classes. The scores z are thus logits at temperature one. Two classes take one tree per
    round, as in LightGBM. The fitted student *is* the plain model in `booster_`:
    ``lightgbm.Booster(model_str=student.booster_.model_to_string())`` predicts the same
    probabilities. Needs ``pip install 'soft-students[lightgbm]'``.

    Parameters
    ----------
    temperature : float or "auto", default=1.0
        T. Ignored without a teacher.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels beside the teacher's, in [0, 1]. "auto", here and for the
        temperature, chooses on held-out rows: see :mod:`soft_students.students.tuning`.
    n_estimators, num_leaves, max_depth, learning_rate, min_child_samples, min_child_weight, \
min_split_gain, subsample, subsample_freq, colsample_bytree, reg_alpha, reg_lambda, n_jobs
        See ``lightgbm.LGBMClassifier``.
    max_bin : int, default=255
        Maximum number of histogram bins per feature.
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
        Whether to continue from an existing `checkpoint`, to a bit-identical result.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    booster_ : lightgbm.Booster
        The model. It predicts probabilities in the order of `classes_`; for two classes, only the
        second's.
    classes_ : ndarray of shape (n_classes,)
    temperature_, hard_weight_ : float
    n_features_in_ : int

    Notes
    -----
    A checkpoint does not change the result unless trees are grown on samples (`colsample_bytree`
    below one, or `subsample` with a `subsample_freq`), since LightGBM cannot resume its random
    draws. Such a training is divided into five parts, each with its own seed, and resumes after the
    last whole part. It takes longer, since each part begins with a prediction of all rows.

    References
    ----------
    Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531, section 2, for the factor T².

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import LightGBMStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = LightGBMStudentClassifier(n_estimators=20, random_state=0).fit(X, teacher)
    >>> bool((student.predict(X) == teacher.predict(X)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentClassifier._parameter_constraints,
        **SHARED,
    }

    def __init__(
        self,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        n_estimators: int = 100,
        num_leaves: int = 31,
        max_depth: int = -1,
        learning_rate: float = 0.1,
        min_child_samples: int = 20,
        min_child_weight: float = 1e-3,
        min_split_gain: float = 0.0,
        subsample: float = 1.0,
        subsample_freq: int = 0,
        colsample_bytree: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        max_bin: int = 255,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.n_estimators = n_estimators
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_samples = min_child_samples
        self.min_child_weight = min_child_weight
        self.min_split_gain = min_split_gain
        self.subsample = subsample
        self.subsample_freq = subsample_freq
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.max_bin = max_bin
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        lightgbm = load_lightgbm()
        n_classes = targets.shape[1]
        if n_classes == 1:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes, got 1 class: "
                f"{self.classes_[0]!r}."
            )
        weights = np.ones(len(X)) if weights is None else weights
        start = self._start(targets.T @ weights / weights.sum())
        X, X_val, targets, targets_val, weights, weights_val = self._split(X, targets, weights)
        objective = _SoftCrossEntropy(targets, weights, self.temperature_)
        params = self._params() | {"objective": objective, "metric": "none"}
        if n_classes > 2:
            params["num_class"] = n_classes
        data = self._dataset(X, init_score=_repeated(start, len(X)))
        held_out = self._dataset(X_val, init_score=_repeated(start, len(X_val)), reference=data)

        def soft_log_loss(scores: np.ndarray, _: Any) -> tuple[str, float, bool]:
            return "soft_log_loss", objective.loss(scores, targets_val, weights_val), False

        name = _objective(n_classes)
        arrays = (X, targets, weights, X_val, targets_val, weights_val)
        with self._checkpoint(params, *arrays) as checkpoint:
            rounds = self._rounds(checkpoint, 1 if n_classes == 2 else n_classes, name)
            text = self._boost(
                params, data, held_out, soft_log_loss, start=start, objective=name, rounds=rounds
            )
        if text is None:
            text = constant_text(start, X.shape[1], name)
        self.booster_ = lightgbm.Booster(model_str=text)

    def _start(self, share: np.ndarray) -> np.ndarray:
        """Return the initial scores of all rows: those of the mean target."""
        logits = self.temperature_ * np.log(np.clip(share, np.finfo(np.float32).eps, None))
        return logits[1:] - logits[:1] if len(share) == 2 else logits

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
        probabilities = self._predicted(self.booster_, rows)
        if len(self.classes_) == 2:
            return np.stack([1 - probabilities, probabilities], axis=1)
        return probabilities

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self._save_texts([self.booster_])

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_classes = self._restore_names(metadata), self._restore_outputs(metadata)
        n_trees = 1 if n_classes == 2 else n_classes
        self.booster_ = self._load_text(
            arrays.get("model_0"), n_features, n_trees, _objective(n_classes)
        )


class _SoftCrossEntropy:
    """LightGBM's softmax objective, with a distribution instead of each label."""

    def __init__(self, targets: np.ndarray, weights: np.ndarray, temperature: float) -> None:
        self._targets = targets
        self._weights = weights
        self._temperature = temperature

    def __call__(self, scores: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and LightGBM's upper bound of the Hessian's diagonal."""
        T, w = self._temperature, self._weights
        if scores.ndim == 1:
            p = expit(scores / T)
            return T * w * (p - self._targets[:, 1]), w * p * (1 - p)
        n_classes = scores.shape[1]
        p = softmax(scores / T, axis=1)
        gradient = T * w[:, None] * (p - self._targets)
        return gradient, n_classes / (n_classes - 1) * w[:, None] * p * (1 - p)

    def loss(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        """Return the mean cross-entropy at the temperature of training."""
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        p = softmax(scores / self._temperature, axis=1)
        losses = -xlogy(targets, np.clip(p, np.finfo(np.float64).tiny, None)).sum(axis=1)
        return float(np.average(losses, weights=weights))


def _objective(n_classes: int) -> str:
    """Return the name of the loss in a model text."""
    return "binary sigmoid:1" if n_classes == 2 else f"multiclass num_class:{n_classes}"


def _repeated(start: np.ndarray, n: int) -> np.ndarray:
    return np.full(n, start[0]) if len(start) == 1 else np.tile(start, (n, 1))


class LightGBMStudentRegressor(LightGBMStudent, ClassicalStudentRegressor):
    """Gradient-boosted trees of LightGBM, trained on a regressor or on values.

    Needs ``pip install 'soft-students[lightgbm]'``.

    Parameters
    ----------
    hard_weight : float or "auto", default=0.0
        Weight of the true values beside the teacher's, in [0, 1]. "auto" chooses on held-out rows:
        see :mod:`soft_students.students.tuning`.
    n_estimators, num_leaves, max_depth, learning_rate, min_child_samples, min_child_weight, \
min_split_gain, subsample, subsample_freq, colsample_bytree, reg_alpha, reg_lambda, n_jobs
        See ``lightgbm.LGBMRegressor``.
    max_bin, early_stopping_rounds, validation_fraction, transfer, transfer_copies, checkpoint, \
resume, random_state
        See :class:`LightGBMStudentClassifier`.

    Attributes
    ----------
    boosters_ : list of lightgbm.Booster
        One model per output.
    n_outputs_, n_features_in_ : int
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalStudentRegressor._parameter_constraints,
        **SHARED,
    }

    def __init__(
        self,
        *,
        hard_weight: float | str = 0.0,
        n_estimators: int = 100,
        num_leaves: int = 31,
        max_depth: int = -1,
        learning_rate: float = 0.1,
        min_child_samples: int = 20,
        min_child_weight: float = 1e-3,
        min_split_gain: float = 0.0,
        subsample: float = 1.0,
        subsample_freq: int = 0,
        colsample_bytree: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        max_bin: int = 255,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hard_weight = hard_weight
        self.n_estimators = n_estimators
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_samples = min_child_samples
        self.min_child_weight = min_child_weight
        self.min_split_gain = min_split_gain
        self.subsample = subsample
        self.subsample_freq = subsample_freq
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.max_bin = max_bin
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _learn(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        lightgbm = load_lightgbm()
        weights = np.ones(len(X)) if weights is None else weights
        means = np.average(targets, axis=0, weights=weights)
        X, X_val, targets, targets_val, weights, weights_val = self._split(X, targets, weights)
        params = self._params() | {"objective": "regression"}
        boosters = []
        columns = list(zip(targets.T, targets_val.T, means, strict=True))
        arrays = (X, targets, weights, X_val, targets_val, weights_val)
        with self._checkpoint(params, *arrays) as checkpoint:
            for output, (values, held, mean) in enumerate(columns):
                data = self._dataset(X, label=values, weight=weights)
                held_out = self._dataset(X_val, label=held, weight=weights_val, reference=data)
                rounds = self._rounds(checkpoint, 1, "regression", output)
                text = self._boost(params, data, held_out, rounds=rounds)
                if text is None:
                    text = constant_text(np.array([mean]), X.shape[1], "regression")
                boosters.append(lightgbm.Booster(model_str=text))
                if rounds is not None and output < len(columns) - 1:
                    rounds.write()
        self.boosters_ = boosters

    def _values(self, X: np.ndarray) -> np.ndarray:
        return np.stack([self._predicted(booster, X) for booster in self.boosters_], axis=1)

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self._save_texts(self.boosters_)

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_features, n_outputs = self._restore_names(metadata), self._restore_outputs(metadata)
        self.boosters_ = [
            self._load_text(arrays.get(f"model_{i}"), n_features, 1, "regression")
            for i in range(n_outputs)
        ]
