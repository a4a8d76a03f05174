"""The soft decision tree regressor."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import Tags, check_random_state

from soft_students.labelled.parts import LabelledParts
from soft_students.sklearn_private import fit_context
from soft_students.students.copies import in_the_form_of
from soft_students.students.missing import validate_rows
from soft_students.students.refitting import unchanged_on_failure
from soft_students.students.soft_tree.base import BaseSoftDecisionTree
from soft_students.students.soft_tree.bundles import gates_state, restore_gates, take_floats
from soft_students.students.supervision import value_supervision
from soft_students.students.tuning import check_chosen, value_settings
from soft_students.transfer import Transfer

if TYPE_CHECKING:
    from soft_students.students.soft_tree.kernel import LeafLoss


class SoftDecisionTreeRegressor(RegressorMixin, BaseSoftDecisionTree):
    """A soft decision tree for regression, trained on a teacher's values or on true values.

    The gates are those of :class:`SoftDecisionTreeClassifier`; leaf l holds the vector
    :math:`μ^l`, and the loss is half the squared error, on targets scaled to deviation one.

    Parameters
    ----------
    depth : int, default=8
        Levels of gates, from 1 to 16.
    hard_weight : float or "auto", default=0.0
        Weight of the true values, in [0, 1]; the teacher has the rest. "auto" is chosen on held-out
        rows: see :mod:`soft_students.students.tuning`.
    mixture_weight, penalty, beta, beta_schedule, beta_final, sharpening, epochs, batch_size, \
learning_rate, weight_decay, weight_averaging, standardize, prediction, early_stopping, \
validation_fraction, n_iter_no_change, transfer, transfer_copies, warm_start, checkpoint, resume, \
random_state, n_jobs, device, n_devices, n_nodes, verbose
        As in :class:`SoftDecisionTreeClassifier`.

    Attributes
    ----------
    gate_weights_ : ndarray of shape (n_gates, n_features)
    gate_biases_, gate_betas_ : ndarray of shape (n_gates,)
    feature_offset_ : ndarray of shape (n_features,) or None
    leaf_values_ : ndarray of shape (n_leaves, n_outputs)
    n_outputs_ : int
    hard_weight_ : float
        Setting of the training targets; 1 on values alone.
    n_features_in_, feature_names_in_, n_iter_, best_iter_, loss_curve_, validation_curve_
        As in :class:`SoftDecisionTreeClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from soft_students import SoftDecisionTreeRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> student = SoftDecisionTreeRegressor(depth=3, epochs=200, random_state=0).fit(X, y)
    >>> float(student.score(X, y)) > 0.5
    True
    """

    def __init__(
        self,
        depth: int = 8,
        *,
        hard_weight: float | str = 0.0,
        mixture_weight: float = 0.9,
        penalty: float = 0.1,
        beta: float = 1.0,
        beta_schedule: str = "fixed",
        beta_final: float = 4.0,
        sharpening: float = 1.0,
        epochs: int | str = "auto",
        batch_size: int = 256,
        learning_rate: float = 0.01,
        weight_decay: float = 0.1,
        weight_averaging: float = 0.0,
        standardize: bool = True,
        prediction: str = "expectation",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        device: str = "cpu",
        n_devices: int = 1,
        n_nodes: int = 1,
        verbose: int = 0,
    ) -> None:
        self.depth = depth
        self.hard_weight = hard_weight
        self.mixture_weight = mixture_weight
        self.penalty = penalty
        self.beta = beta
        self.beta_schedule = beta_schedule
        self.beta_final = beta_final
        self.sharpening = sharpening
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.weight_averaging = weight_averaging
        self.standardize = standardize
        self.prediction = prediction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.n_devices = n_devices
        self.n_nodes = n_nodes
        self.verbose = verbose

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
        """Train the tree.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or LabelledParts
            :class:`~soft_students.labelled.LabelledParts` are read during training, a window at
            a time; they hold the targets, and the true values for `hard_weight`.
        y : teacher or array-like of shape (n_samples,) or (n_samples, n_outputs)
            A fitted regressor or callable, or values.
        labels : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            True values, weighted by `hard_weight`.
        teacher : object, default=None
            The teacher; `y` may then hold the true values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.
        X_unlabeled : array-like of shape (n, n_features), default=None
            Further rows of weight one, labelled by the teacher. A transfer set also starts from
            them.

        Returns
        -------
        self
        """
        from soft_students.students.processes import check_processes  # imports torch

        check_processes(self)
        with unchanged_on_failure(self):
            if isinstance(X, LabelledParts):
                self._learn_parts(
                    X,
                    y=y,
                    labels=labels,
                    teacher=teacher,
                    sample_weight=sample_weight,
                    X_unlabeled=X_unlabeled,
                )
                return self
            rows = validate_rows(self, X, dtype=[np.float64, np.float32])
            asked = X if hasattr(X, "columns") else rows
            lesson = value_supervision(self, asked, y, labels, teacher, self.hard_weight)
            hard_weight = value_settings(self, asked, lesson, sample_weight)
            targets, ask = lesson.targets(hard_weight), lesson.asker(hard_weight)
            if not (self.warm_start and hasattr(self, "gate_weights_")):
                self._scale_targets(targets, sample_weight)
            unlabeled = None
            if X_unlabeled is not None:
                if ask is None:
                    raise ValueError(
                        "X_unlabeled needs a teacher to label it. Pass one, or leave X_unlabeled "
                        "out."
                    )
                more, shown = self._unlabeled(X_unlabeled)
                unlabeled = more, self._scaled(ask(shown, None))
            shown_alike = in_the_form_of(X, ask)
            self._fit(
                rows,
                self._scaled(targets),
                sample_weight,
                None
                if shown_alike is None
                else lambda made, of: self._scaled(shown_alike(made, of)),
                None,
                unlabeled,
            )
            self.hard_weight_ = hard_weight
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        labels: ArrayLike | None = None,
        teacher: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Take one pass over some rows, at a constant learning rate.

        Features and targets are scaled by the rows of the first call. `early_stopping` and
        `transfer` are not used.

        Parameters
        ----------
        X, y, labels, teacher, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        check_chosen(self, "hard_weight")
        with unchanged_on_failure(self):
            first = not hasattr(self, "gate_weights_")
            rows = validate_rows(self, X, dtype=[np.float64, np.float32], reset=first)
            asked = X if hasattr(X, "columns") else rows
            lesson = value_supervision(self, asked, y, labels, teacher, self.hard_weight)
            self.hard_weight_ = value_settings(self, asked, lesson, sample_weight)
            targets = lesson.targets(self.hard_weight_)
            if first:
                self._scale_targets(targets, sample_weight)
            self._partial_fit(rows, self._scaled(targets), sample_weight)
        return self

    def _learn_parts(self, parts: LabelledParts, **given: Any) -> None:
        from soft_students.students.part_supervision import MixedValues, PartSupervision
        from soft_students.students.soft_tree.training_rows import moments

        random_state = check_random_state(self.random_state)
        shuffled = self._open_parts(parts, "regression", random_state, **given)
        self.hard_weight_ = float(self.hard_weight)
        told = MixedValues(PartSupervision.of(parts), self.hard_weight_)
        if not (self.warm_start and hasattr(self, "gate_weights_")):
            mean, deviation = moments(told(rows) for rows in shuffled.pieces())
            self._set_target_unit(mean, deviation, flat=len(mean) == 1)
        unit = (self._target_mean, self._target_deviation)
        self._fit_parts(parts, shuffled, replace(told, unit=unit), random_state)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the predicted value of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values in the shape of the targets of `fit`.
        """
        values = self._outputs(self._checked(X))
        return values[:, 0] if self._flat else values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _scale_targets(self, targets: np.ndarray, sample_weight: ArrayLike | None) -> None:
        """Set the unit in which leaves are trained; fitted leaves are in the targets' unit."""
        flat = targets.ndim == 1
        columns = targets[:, None] if flat else targets
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if weights is not None and not (weights.shape == (len(columns),) and weights.sum() > 0):
            weights = None  # rejected later, in training, with a message
        mean = np.average(columns, axis=0, weights=weights)
        variance = np.average((columns - mean) ** 2, axis=0, weights=weights)
        self._set_target_unit(mean, np.sqrt(variance), flat=flat)

    def _set_target_unit(self, mean: np.ndarray, deviation: np.ndarray, *, flat: bool) -> None:
        self._flat = flat
        self._target_mean = mean
        self._target_deviation = np.where(deviation > 0, deviation, 1.0)
        self.n_outputs_ = len(mean)

    def _scaled(self, targets: np.ndarray) -> np.ndarray:
        columns = targets[:, None] if targets.ndim == 1 else targets
        if columns.shape[1] != self.n_outputs_:
            raise ValueError(
                f"The targets have {columns.shape[1]} outputs; this tree has {self.n_outputs_}."
            )
        return (columns - self._target_mean) / self._target_deviation

    def _leaf_loss(self) -> LeafLoss:
        from soft_students.students.soft_tree.kernel import SquaredErrorLeaves

        return SquaredErrorLeaves(self.mixture_weight)

    def _leaf_values(self) -> np.ndarray:
        return self.leaf_values_

    def _trained_leaves(self) -> np.ndarray:
        return (self.leaf_values_ - self._target_mean) / self._target_deviation

    def _store_leaves(self, leaves: np.ndarray) -> None:
        values = leaves * self._target_deviation + self._target_mean
        self.leaf_values_ = values.astype(leaves.dtype)

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata, arrays = gates_state(self)
        metadata |= {"n_outputs": self.n_outputs_, "flat": self._flat}
        return metadata, arrays | {
            "leaf_values": self.leaf_values_,
            "target_mean": self._target_mean,
            "target_deviation": self._target_deviation,
        }

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_leaves = restore_gates(self, metadata, arrays)
        n_outputs, flat = metadata["n_outputs"], metadata["flat"]
        if type(n_outputs) is not int or n_outputs < 1 or type(flat) is not bool:
            raise ValueError("n_outputs must be a positive integer and flat true or false")
        if flat and n_outputs != 1:
            raise ValueError(f"a flat target has one output, not {n_outputs}")
        self.leaf_values_ = take_floats(arrays, "leaf_values", (n_leaves, n_outputs))
        self._target_mean = take_floats(arrays, "target_mean", (n_outputs,))
        self._target_deviation = take_floats(arrays, "target_deviation", (n_outputs,))
        self.n_outputs_ = n_outputs
        self._flat = flat
