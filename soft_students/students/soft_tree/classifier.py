"""The soft decision tree classifier."""

from __future__ import annotations

import os
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from soft_students.labelled.parts import LabelledParts
from soft_students.sklearn_private import Interval, StrOptions, fit_context
from soft_students.students.copies import in_the_form_of
from soft_students.students.missing import validate_rows
from soft_students.students.refitting import unchanged_on_failure
from soft_students.students.restoring import read_classes, read_temperature
from soft_students.students.soft_tree.base import BaseSoftDecisionTree
from soft_students.students.soft_tree.bundles import gates_state, restore_gates, take_floats
from soft_students.students.supervision import class_supervision
from soft_students.students.tuning import check_chosen, class_settings
from soft_students.targets import one_hot, sharpen
from soft_students.transfer import Transfer

if TYPE_CHECKING:
    from soft_students.students.soft_tree.kernel import LeafLoss


class SoftDecisionTreeClassifier(ClassifierMixin, BaseSoftDecisionTree):
    r"""A soft decision tree [1]_, trained on a teacher's soft targets or on labels.

    Every inner node i sends a row x to the right with probability
    :math:`p_i(x) = \sigma(\beta_i (w_i \cdot x + b_i))`; every leaf l holds one distribution
    :math:`Q^l = softmax(\phi^l)` over the classes. The tree is complete: it has
    :math:`2^{depth} - 1` gates and :math:`2^{depth}` leaves.

    Parameters
    ----------
    depth : int, default=8
        Levels of gates, from 1 to 16.
    temperature : float or "auto", default=1.0
        Temperature T of the teacher's soft targets. `predict_proba` returns probabilities at
        temperature one, comparable with the teacher's. Ignored when trained on labels alone.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels, in [0, 1]; the teacher has the rest. "auto", here and for the
        temperature, is chosen on held-out rows: see :mod:`soft_students.students.tuning`.
    mixture_weight : float, default=0.9
        Weight of the loss of the mean prediction :math:`\sum_l P^l Q^l`; the rest is the mean of
        the leaves' losses, the paper's only term. The former gives higher accuracy, the latter
        brings single leaves closer to the mean.
    focusing : float, default=0.0
        γ of the focal loss [2]_: samples that are predicted well weigh less, by
        :math:`(1 - m)^\gamma` where m is one for a prediction equal to the target. Helps trees
        that are too small for their task.
    penalty : float, default=0.1
        Strength λ, at the root, of the penalty on gates that send all rows one way; it halves with
        each level.
    beta : float, default=1.0
        Inverse temperature of the gates.
    beta_schedule : {"fixed", "learned", "annealed"}, default="fixed"
        "learned" trains one β per gate, as in the paper; "annealed" raises it geometrically to
        `beta_final` in the second half of training, which makes gates harder.
    beta_final : float, default=4.0
        Final β for ``beta_schedule="annealed"``.
    sharpening : float, default=1.0
        Above 1, the second half of training blends the loss with that of path probabilities
        to the power γ, which rises from 1 to this value. Raises the accuracy of the leaf of
        greatest path probability alone.
    epochs : int or "auto", default="auto"
        Passes over the rows. "auto": at least 40, and at least 1,500 steps.
    batch_size : int, default=256
        Rows per step.
    learning_rate : float, default=0.01
        Peak learning rate of AdamW in a one-cycle schedule; constant in `partial_fit`.
    weight_decay : float, default=0.1
        Decoupled weight decay of the gates' weights.
    weight_averaging : float, default=0.0
        Decay of the exponential moving average of the weights that is returned; 0 is off.
    standardize : bool, default=True
        Train on features of mean zero and deviation one. The fitted gates take raw rows.
        Turn it off if features share a unit, such as pixels.
    prediction : {"expectation", "greatest_path", "greedy"}, default="expectation"
        The mean of the leaves weighted by path probability; the leaf of greatest path probability
        (the paper's); or the leaf found by following the likelier child, which is the fastest and
        may be a different leaf. Can be changed on a fitted tree.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the rows, keep the weights of the epoch with the lowest
        loss on them, and stop after `n_iter_no_change` epochs without improvement.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
    transfer : Transfer or None, default=None
        Makes further rows from the training rows, for the teacher to label, e.g.
        :class:`~soft_students.transfer.ImageDistortion`. Without a teacher they keep the label of
        their source row; a transfer that may change the label is then an error.
    transfer_copies : int, default=4
        Rows made from each training row, before training. An epoch still visits each training row
        once: the original or one of its copies.
    warm_start : bool, default=False
        Start training from the fitted weights.
    checkpoint : str or path-like, default=None
        File for the state of the training, written every ten seconds and removed at the end.
    resume : bool, default=False
        Continue from `checkpoint` if it exists; on the CPU, the result is bit-identical.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Threads for training. None keeps torch's setting, -1 uses all cores.
    device : str, default="cpu"
        Device of torch for training.
    n_devices : int, default=1
        Processes on this host, each with its own device and its part of every batch. The tree
        equals that of one process, up to the rounding of sums. `fit` starts them, unless
        ``torchrun`` did.
    n_nodes : int, default=1
        Hosts that train together; ``torchrun`` starts the processes on each.
    verbose : int, default=0
        1 shows progress on stderr, on a terminal.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    gate_weights_ : ndarray of shape (n_gates, n_features)
        Weights of the gates, for raw rows.
    gate_biases_, gate_betas_ : ndarray of shape (n_gates,)
    feature_offset_ : ndarray of shape (n_features,) or None
        Subtracted from each row before the gates are evaluated.
    leaf_logits_ : ndarray of shape (n_leaves, n_classes)
        Logits φ, at temperature `temperature_`.
    temperature_, hard_weight_ : float
        Settings of the training targets; both are 1 on labels alone.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Names of the features, if X had string column names.
    n_iter_, best_iter_ : int
        Epochs run, and the epoch kept by early stopping (from 0; None without).
    loss_curve_, validation_curve_ : list of float
        Loss of each epoch.

    Notes
    -----
    X of dtype float32 is trained in float32, twice as fast as float64.

    References
    ----------
    .. [1] Frosst and Hinton (2017), "Distilling a neural network into a soft decision tree",
       arXiv:1711.09784.
    .. [2] Lin et al. (2017), "Focal loss for dense object detection", arXiv:1708.02002, equation 4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = MLPClassifier(max_iter=2000, random_state=0).fit(X, y)
    >>> student = SoftDecisionTreeClassifier(depth=3, random_state=0).fit(X, teacher)
    >>> float(student.score(X, y)) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseSoftDecisionTree._parameter_constraints,
        "temperature": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "focusing": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        depth: int = 8,
        *,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        mixture_weight: float = 0.9,
        focusing: float = 0.0,
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
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.mixture_weight = mixture_weight
        self.focusing = focusing
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
            a time; they hold the targets, and the labels for `hard_weight`.
        y : teacher, array-like of shape (n_samples, n_classes) or array-like of shape (n_samples,)
            A teacher (anything that :func:`~soft_students.teachers.as_teacher` takes), its
            probabilities for the rows of `X`, or labels.
        labels : array-like of shape (n_samples,), default=None
            True labels, weighted by `hard_weight`.
        teacher : object, default=None
            The teacher; `y` may then hold the true labels.
        sample_weight : array-like of shape (n_samples,) or "balanced", default=None
            Non-negative. "balanced" gives all classes the same total weight.
        X_unlabeled : array-like of shape (n, n_features), default=None
            Further rows of weight one, labelled by the teacher. A transfer set also starts from
            them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the arguments contradict each other.
        FloatingPointError
            If the loss is not finite.
        """
        from soft_students.students.processes import check_processes  # imports torch

        check_processes(self)
        with unchanged_on_failure(self):
            if isinstance(X, LabelledParts):
                beside = {"y": y, "labels": labels, "teacher": teacher}
                beside |= {"sample_weight": sample_weight, "X_unlabeled": X_unlabeled}
                self._learn_parts(X, **beside)
                return self
            rows = validate_rows(self, X, dtype=[np.float64, np.float32])
            asked = X if hasattr(X, "columns") else rows
            lesson = class_supervision(self, asked, y, labels, teacher, self.hard_weight)
            if self.warm_start and hasattr(self, "classes_"):
                self._check_classes(lesson.classes)
            sample_weight = lesson.row_weights(sample_weight)
            temperature, hard_weight = class_settings(self, asked, lesson, sample_weight)
            targets = lesson.targets(temperature, hard_weight)
            unlabeled = None
            if X_unlabeled is not None:
                more, shown = self._unlabeled(X_unlabeled)
                unlabeled = more, lesson.ask_about(shown, temperature)
            self.classes_ = lesson.classes
            ask = in_the_form_of(X, lesson.asker(temperature, hard_weight))
            self._fit(rows, targets, sample_weight, ask, targets.argmax(axis=1), unlabeled)
            self.temperature_, self.hard_weight_ = temperature, hard_weight
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: Any = None,
        classes: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
        teacher: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Take one pass over some rows, at a constant learning rate.

        Features are scaled by the rows of the first call. `early_stopping` and `transfer` are not
        used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y, labels, teacher, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes; required in the first call without a teacher.

        Returns
        -------
        self
        """
        check_chosen(self, "temperature", "hard_weight")
        with unchanged_on_failure(self):
            first = not hasattr(self, "gate_weights_")
            rows = validate_rows(self, X, dtype=[np.float64, np.float32], reset=first)
            asked = X if hasattr(X, "columns") else rows
            lesson = class_supervision(self, asked, y, labels, teacher, self.hard_weight)
            known = self.classes_ if not first else classes
            if known is None and lesson.logits is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            sample_weight = lesson.row_weights(sample_weight)
            temperature, hard_weight = class_settings(self, asked, lesson, sample_weight)
            if lesson.logits is None:
                known = np.unique(np.asarray(known))
                unknown = np.setdiff1d(lesson.classes, known)
                if unknown.size:
                    raise ValueError(
                        f"y holds {unknown.tolist()[:5]}, which are not among the classes "
                        f"{known.tolist()[:20]} of the first call to partial_fit."
                    )
                columns = np.searchsorted(known, lesson.classes)[lesson.labels]
                targets = one_hot(columns, len(known))
            else:
                if not first:
                    self._check_classes(lesson.classes)
                known = lesson.classes
                targets = lesson.targets(temperature, hard_weight)
            self.classes_ = known
            self._partial_fit(rows, targets, sample_weight)
            self.temperature_, self.hard_weight_ = temperature, hard_weight
        return self

    def _learn_parts(self, parts: LabelledParts, **given: Any) -> None:
        from soft_students.students.part_supervision import PartSupervision, SoftTargets

        random_state = check_random_state(self.random_state)
        shuffled = self._open_parts(parts, "classification", random_state, **given)
        supervision = PartSupervision.of(parts)
        if self.warm_start and hasattr(self, "classes_"):
            self._check_classes(supervision.classes)
        self.classes_ = supervision.classes
        self.temperature_ = float(self.temperature)
        self.hard_weight_ = float(self.hard_weight)
        told = SoftTargets(supervision, self.temperature_, self.hard_weight_)
        self._fit_parts(parts, shuffled, told, random_state)

    def _check_classes(self, classes: np.ndarray) -> None:
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"This tree was fitted on the classes {self.classes_.tolist()[:20]} and cannot "
                f"continue on {np.asarray(classes).tolist()[:20]}."
            )

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class, at temperature one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns in the order of `classes_`; of the dtype of `X`.
        """
        return sharpen(self._outputs(self._checked(X)), self.temperature_)

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the logarithm of `predict_proba`; the logarithm of zero is -inf."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the likeliest class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def leaf_probabilities_(self) -> np.ndarray:
        """Probabilities of each leaf, at temperature one, of shape (n_leaves, n_classes)."""
        check_is_fitted(self)
        return softmax(self.temperature_ * log_softmax(self.leaf_logits_, axis=1), axis=1)

    def _leaf_loss(self) -> LeafLoss:
        from soft_students.students.soft_tree.kernel import CrossEntropyLeaves

        return CrossEntropyLeaves(self.mixture_weight, self.focusing)

    def _leaf_values(self) -> np.ndarray:
        return softmax(self.leaf_logits_, axis=1)

    def _trained_leaves(self) -> np.ndarray:
        return self.leaf_logits_

    def _store_leaves(self, leaves: np.ndarray) -> None:
        self.leaf_logits_ = leaves

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata, arrays = gates_state(self)
        metadata |= {"classes": self.classes_, "temperature": float(self.temperature_)}
        return metadata, arrays | {"leaf_logits": self.leaf_logits_}

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        n_leaves = restore_gates(self, metadata, arrays)
        self.classes_, self.temperature_ = read_classes(metadata), read_temperature(metadata)
        self.leaf_logits_ = take_floats(arrays, "leaf_logits", (n_leaves, len(self.classes_)))
