"""The neural student classifier, trained by any method of the catalogue."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from soft_students.labelled.parts import LabelledParts
from soft_students.methods import Method, make_method
from soft_students.networks.zoo import NETWORKS, Factory
from soft_students.sklearn_private import Interval, StrOptions, fit_context
from soft_students.students.declared import Declared
from soft_students.students.neural import preparation
from soft_students.students.neural.bundles import network_arrays, restore_network
from soft_students.students.neural.method_choice import choose_method, soft_targets
from soft_students.students.neural.network_training import NetworkTraining, train
from soft_students.students.neural.presets import neural_settings
from soft_students.students.neural.rows import checked_rows
from soft_students.students.neural.snapshots import Snapshots
from soft_students.students.part_supervision import check_only_parts
from soft_students.students.processes import check_processes, is_first_process, launch
from soft_students.students.refitting import unchanged_on_failure
from soft_students.students.restoring import (
    read_classes,
    read_temperature,
    restore_feature_names,
    restore_hard_weight,
)
from soft_students.threads import torch_threads
from soft_students.training.optimization import OPTIMIZERS, SCHEDULES
from soft_students.transfer import Transfer

PREDICT_BATCH = 512


class NeuralStudentClassifier(ClassifierMixin, Declared, BaseEstimator):
    r"""A neural network trained by any method of `soft_students.methods`, or on labels.

    Parameters
    ----------
    module : str, nn.Module or callable, default="mlp"
        The network: a key of `soft_students.networks.zoo.NETWORKS`, a module (a copy of it is
        trained from its weights), or a callable that makes one from (input_shape, n_classes).
    method : str, Method or sequence of them, default="kd"
        Methods of training: keys of `soft_students.methods.available`, separated by commas, or
        instances. On labels alone, methods that need a teacher are left out, and ``"kd"`` is plain
        training.
    method_params : dict, default=None
        Parameters of methods given by key: ``{"angle_weight": 50}`` for one method,
        ``{"rkd.angle_weight": 50}`` for several.
    temperature : float or "auto", default=1.0
        Temperature T of the teacher's soft targets, in the method ``"kd"``. Other methods have
        their own settings, see `method_params`. For images and a network as the teacher, about 4
        helps. Ignored when trained on labels alone.
    hard_weight : float or "auto", default=0.0
        Weight of the true labels in ``"kd"``, in [0, 1]; the soft targets have the rest. "auto",
        here and for the temperature, is chosen on held-out rows, by ``"kd"`` alone: see
        :mod:`soft_students.students.tuning`.
    epochs : int, default=30
        Passes over the rows, in the main stage of a method.
    batch_size : int, default=64
    optimizer : {"adamw", "adam", "sgd"}, default="adamw"
    learning_rate : float, default=0.003
        Peak learning rate.
    weight_decay : float, default=0.01
        Weight decay of weights, not of biases and normalisation scales.
    momentum : float, default=0.9
        Momentum of "sgd".
    schedule : {"one_cycle", "cosine", "step", "constant"}, default="one_cycle"
    validation_fraction : float, default=0.1
        Share of held-out rows; the epoch with the best accuracy on them is kept. 0 keeps the last
        epoch.
    input_shape : tuple of int, default=None
        Shape of one input: (height, width) or (channels, height, width) of images. None uses the
        teacher's shape, else square single-channel images if the module needs images, else plain
        rows.
    standardize : bool, default=True
        Subtract the mean and divide by the deviation of the training rows, per channel for images
        and per feature otherwise.
    augment : Transfer, default=None
        Distorts the inputs of each batch anew, for student and teacher alike, e.g.
        :class:`~soft_students.transfer.ImageDistortion`. If it may change labels, the
        teacher's probabilities replace them.
    transfer : Transfer, default=None
        Makes further rows from the training rows, before training, for the teacher to label.
        Without a teacher they keep the label of their source row; a transfer that may change the
        label is then an error.
    transfer_copies : int, default=4
        Rows made from each training row. An epoch visits all rows, so it takes longer.
    teacher_cache : int, default=1073741824
        Maximum bytes for the teacher's features of training rows, which are then computed once,
        not in each epoch. Logits are always computed once, except for distorted inputs.
    device : str, default="cpu"
        Device of torch, or "auto".
    precision : {"32-true", "bf16-mixed", "16-mixed"}, default="32-true"
    n_devices : int, default=1
        Processes on this host, each with its own device and its part of every batch. `fit` starts
        them, unless ``torchrun`` did. If the loss is a mean over rows, the weights equal those of
        one process; batch normalisation, dropout, `augment` and methods that compare rows of a
        batch work on the part of their process.
    n_nodes : int, default=1
        Hosts that train together; ``torchrun`` starts the processes on each.
    checkpoint : str or path-like, default=None
        File for the state after each epoch, removed at the end of training.
    resume : bool, default=False
        Continue from `checkpoint` if it exists; on the CPU, the result is bit-identical.
    snapshots : str or path-like, default=None
        Folder for a file of the student after each epoch of the main stage, for
        `soft_students.knowledge.quantify_knowledge`; ``epoch-0000.student`` is untrained. It must
        not contain those of another training; the module must be given by name.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int, default=None
        Threads for training and prediction. None keeps torch's setting, -1 uses all cores.
    verbose : int, default=0
        1 shows progress on stderr, on a terminal.

    Attributes
    ----------
    module_ : nn.Module
        The trained network, from inputs of shape ``(n, *input_shape)`` to logits, in eval mode.
    classes_ : ndarray of shape (n_classes,)
    history_ : list of dict
        One entry per epoch: stage, epoch, each term of the loss by name, validation accuracy and
        loss, seconds. ``pandas.DataFrame(student.history_)`` shows it as a table.
    input_shape_ : tuple of int
    temperature_, hard_weight_ : float
        Settings of the method ``"kd"`` in training; both are 1 without it.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Names of the features, if X had string column names.

    See Also
    --------
    soft_students.methods.available : All methods.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students.students import NeuralStudentClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = NeuralStudentClassifier(random_state=0).fit(X, teacher, labels=y)
    >>> bool(student.score(X, y) > 0.9)
    True
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "rows are drawn in proportion to weights",
        "check_weight_two_is_row_twice": "rows are drawn in proportion to weights",
    }
    _image_settings = staticmethod(neural_settings)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [StrOptions(set(NETWORKS)), nn.Module, callable],
        "method": [str, Method, list, tuple],
        "method_params": [dict, None],
        "temperature": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "hard_weight": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "input_shape": [tuple, list, None],
        "standardize": ["boolean"],
        "augment": [Transfer, None],
        "transfer": [Transfer, None],
        "transfer_copies": [Interval(Integral, 1, None, closed="left")],
        "teacher_cache": [Interval(Integral, 0, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"32-true", "bf16-mixed", "16-mixed"})],
        "n_devices": [Interval(Integral, 1, None, closed="left")],
        "n_nodes": [Interval(Integral, 1, None, closed="left")],
        "checkpoint": [str, os.PathLike, None],
        "resume": ["boolean"],
        "snapshots": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        module: str | nn.Module | Factory = "mlp",
        *,
        method: str | Method | Sequence[str | Method] = "kd",
        method_params: Mapping[str, Any] | None = None,
        temperature: float | str = 1.0,
        hard_weight: float | str = 0.0,
        epochs: int = 30,
        batch_size: int = 64,
        optimizer: str = "adamw",
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        momentum: float = 0.9,
        schedule: str = "one_cycle",
        validation_fraction: float = 0.1,
        input_shape: tuple[int, ...] | None = None,
        standardize: bool = True,
        augment: Transfer | None = None,
        transfer: Transfer | None = None,
        transfer_copies: int = 4,
        teacher_cache: int = 2**30,
        device: str = "cpu",
        precision: str = "32-true",
        n_devices: int = 1,
        n_nodes: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        snapshots: str | os.PathLike[str] | None = None,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.method = method
        self.method_params = method_params
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.input_shape = input_shape
        self.standardize = standardize
        self.augment = augment
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.teacher_cache = teacher_cache
        self.device = device
        self.precision = precision
        self.n_devices = n_devices
        self.n_nodes = n_nodes
        self.checkpoint = checkpoint
        self.resume = resume
        self.snapshots = snapshots
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike | LabelledParts | None,
        y: Any = None,
        *,
        labels: ArrayLike | None = None,
        teacher: Any = None,
        sample_weight: ArrayLike | str | None = None,
        X_unlabeled: ArrayLike | None = None,
    ) -> Self:
        """Train the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), LabelledParts or None
            Images as rows of pixels. Every process reads `LabelledParts` a window at a time, once
            before training and once per epoch; they hold the teacher's outputs and, if they have
            such a column, the true labels. None for a method without data, such as ``"dafl"``; the
            teacher then defines the shape of an input.
        y : teacher, array-like of shape (n_samples, n_classes) or array-like of shape (n_samples,)
            A teacher (anything that :func:`~soft_students.teachers.as_teacher` takes), its
            probabilities for the rows of `X`, or labels. With parts, the teacher that labelled
            them: required by methods that use its layers, and by `augment`.
        labels : array-like of shape (n_samples,), default=None
            True labels.
        teacher : object, default=None
            The teacher; `y` may then hold the true labels.
        sample_weight : array-like of shape (n_samples,) or "balanced", default=None
            Non-negative. "balanced" gives all classes the same total weight. All methods
            draw rows in proportion to their weight: an epoch has as many rows as have a weight
            above zero; a row of twice the weight is drawn twice as often, and a row of weight zero
            never. The held-out rows are weighted in the same way.
        X_unlabeled : array-like of shape (n, n_features), default=None
            Further rows of weight one, labelled by the teacher. Its predicted classes replace their
            true labels. A transfer set also starts from them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the arguments, the module and the method contradict each other.
        FloatingPointError
            If a term of the loss, named in the message, is not finite. A checkpoint keeps the last
            good epoch.
        """
        check_processes(self)
        n_processes = self.n_devices * self.n_nodes
        if n_processes > 1 and self.batch_size < 4 * n_processes:
            # The last batch may be half as large, and batch normalisation needs two rows.
            raise ValueError(
                f"batch_size={self.batch_size} is too small to be shared by {n_processes} "
                f"processes: it must be at least {4 * n_processes}."
            )
        with unchanged_on_failure(self), torch_threads(self.n_jobs):
            choose_method(self)  # raises errors before the teacher is called
            rows = {"labels": labels, "sample_weight": sample_weight, "X_unlabeled": X_unlabeled}
            if X is None:
                training = preparation.without_rows(self, y if teacher is None else teacher)
            elif isinstance(X, LabelledParts):
                check_only_parts(self, **rows)
                training = preparation.from_parts(self, X, y, teacher)
            else:
                training = preparation.from_rows(self, X, y, teacher=teacher, **rows)
            kd = soft_targets(training.method)
            self.temperature_ = 1.0 if kd is None else float(kd.temperature)
            self.hard_weight_ = 1.0 if kd is None else float(kd.hard_weight)
            self.input_shape_ = training.input_shape
            if self.snapshots is not None:
                training.snapshots = self._open_snapshots(self.snapshots, training)
            trained = launch(
                train,
                training,
                device=self.device,
                n_devices=self.n_devices,
                n_nodes=self.n_nodes,
                precision=self.precision,
            )
            self.module_, self.history_ = trained.network, trained.history
            if training.checkpoint is not None and is_first_process():
                Path(training.checkpoint).unlink(missing_ok=True)
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return softmax(self._logits(X), axis=1)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the likeliest class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        logits = self._logits(X)  # first: raises if the student is not fitted
        return self.classes_[logits.argmax(axis=1)]

    def _logits(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        rows = checked_rows(self, X, reset=False)
        inputs = torch.from_numpy(np.ascontiguousarray(rows)).view(-1, *self.input_shape_)
        with torch_threads(self.n_jobs), torch.inference_mode():
            parts = [self.module_(part) for part in inputs.split(PREDICT_BATCH)]
        return torch.cat(parts).double().numpy()

    def _open_snapshots(
        self, folder: str | os.PathLike[str], training: NetworkTraining
    ) -> Snapshots:
        goes_on = self.resume and self.checkpoint is not None and os.path.exists(self.checkpoint)
        snapshots = Snapshots(self, folder, resume=goes_on)
        with torch.random.fork_rng(devices=[]):  # training draws initial weights again
            snapshots.check(training.student())
        return snapshots

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata: dict[str, Any] = {"classes": self.classes_, "input_shape": self.input_shape_}
        for name in ("temperature", "hard_weight"):
            if hasattr(self, f"{name}_"):  # missing after loading a file of an early version
                metadata[name] = getattr(self, f"{name}_")
        if hasattr(self, "feature_names_in_"):
            metadata["feature_names"] = self.feature_names_in_
        return metadata, network_arrays(self.module, self.module_)

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        classes, shape = read_classes(metadata, at_least=2), metadata["input_shape"]
        if not (
            isinstance(shape, tuple) and shape and all(type(s) is int and s > 0 for s in shape)
        ):
            raise ValueError(f"input_shape must hold positive ints, not {shape!r}")
        if "temperature" in metadata:  # missing in bundles of early versions
            self.temperature_ = read_temperature(metadata)
        restore_hard_weight(self, metadata)
        n_features = math.prod(shape)
        restore_feature_names(self, metadata, n_features)
        self.module_ = restore_network(self.module, shape, len(classes), arrays)
        self.classes_, self.input_shape_, self.n_features_in_ = classes, shape, n_features

    @classmethod
    def _current_params(cls, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a bundle of an earlier version under their current names."""
        if "augment" in params:
            return params
        params = {**params, "augment": params.get("transfer"), "transfer": None}
        # None meant the defaults of "kd" at that time
        defaults = {"kd": {"temperature": 4.0, "hard_weight": 0.1}}
        kd = soft_targets(make_method(params["method"], params["method_params"], defaults))
        for name in defaults["kd"]:
            if params.get(name) is None:
                params[name] = cls().get_params()[name] if kd is None else getattr(kd, name)
        return params
