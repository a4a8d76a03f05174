"""Neural networks as students, taught by any method of the catalogue."""

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
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from soft_students.labelled.parts import LabelledParts
from soft_students.methods import Combination, Method, make_method
from soft_students.methods.optimization import OPTIMIZERS, SCHEDULES, OptimizerSettings
from soft_students.students.declared import Declared
from soft_students.students.neural.bundles import network_arrays, restore_network
from soft_students.students.neural.modules import MODULES, Factory
from soft_students.students.neural.parts import PartRows, check_methods, teacher_of
from soft_students.students.neural.presets import neural_settings
from soft_students.students.neural.rows import (
    as_training_data,
    find_shape,
    hold_out,
    teacher_of_rows,
    three_sides,
)
from soft_students.students.neural.snapshots import Snapshots
from soft_students.students.neural.training import Training, train
from soft_students.students.part_supervision import (
    PartSupervision,
    check_only_parts,
    check_parts,
)
from soft_students.students.processes import check_processes, is_first_process, launch
from soft_students.students.refitting import unchanged_on_failure
from soft_students.students.supervision import class_supervision
from soft_students.teachers import TorchTeacher, as_teacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.threads import torch_threads
from soft_students.transfer import Transfer

PREDICT_BATCH = 512


class NeuralStudentClassifier(ClassifierMixin, Declared, BaseEstimator):
    r"""A neural network taught by any method of `soft_students.methods`, or by labels.

    Parameters
    ----------
    module : str, nn.Module or callable, default="mlp"
        The network: a name of `soft_students.students.neural.modules.MODULES`, a module to start
        from (a copy of it is trained), or a callable that makes one from (input_shape, n_classes).
    method : str, Method or sequence of them, default="kd"
        How it learns: keys of `soft_students.methods.available`, also several with commas between
        them, or instances. What needs a teacher is left out where there is none: on labels alone
        ``"kd"`` is plain training.
    method_params : dict, default=None
        Parameters of the methods that are named: ``{"angle_weight": 50}``, or of several methods
        ``{"rkd.angle_weight": 50}``.
    temperature : float, default=None
        T of the methods that have one, where `method_params` does not say it. None takes that of
        each method: 4 of ``"kd"``.
    hard_weight : float, default=None
        Weight of the true labels in ``"kd"``, where `method_params` does not say it. None takes
        that of the method: 0.1. Without true labels the teacher's probabilities take their place.
    epochs : int, default=30
        Passes over the rows, in the main stage of a method.
    batch_size : int, default=64
    optimizer : {"adamw", "adam", "sgd"}, default="adamw"
    learning_rate : float, default=0.003
        Peak.
    weight_decay : float, default=0.01
        Of weights alone, not of biases and normalisation scales.
    momentum : float, default=0.9
        Of "sgd".
    schedule : {"one_cycle", "cosine", "step", "constant"}, default="one_cycle"
    validation_fraction : float, default=0.1
        Rows held out; the epoch with the best accuracy on them is kept. With 0 the last epoch is.
    input_shape : tuple of int, default=None
        Of one input: (height, width) or (channels, height, width) of images. None takes the
        teacher's, square single-channel images for a module that needs images, and rows as they are
        for others.
    standardize : bool, default=True
        Subtract the mean and divide by the deviation of the training rows, by channel for images
        and by feature otherwise.
    transfer : Transfer, default=None
        Distorts the inputs of each batch anew, for student and teacher alike. If it does not keep
        labels, the teacher's probabilities take their place.
    teacher_cache : int, default=1073741824
        Bytes for the teacher's features of training rows, which are then computed once and not in
        each epoch. Its logits always are, except of distorted inputs.
    device : str, default="cpu"
        Of torch, or "auto".
    precision : {"32-true", "bf16-mixed", "16-mixed"}, default="32-true"
    n_devices : int, default=1
        Processes of this host, each with a device of its own and its part of every batch. They are
        started here, unless ``torchrun`` has done so. If the loss is a mean over rows, the weights
        are those of one process; batch normalisation, dropout, `transfer` and methods that compare
        rows of a batch with each other see the part of their process.
    n_nodes : int, default=1
        Hosts that train together; on each, ``torchrun`` starts the processes.
    checkpoint : str or path-like, default=None
        A file for the state after each epoch. It is removed when training has ended.
    resume : bool, default=False
        Go on from `checkpoint` if it is there: on the CPU, to the same result bit for bit.
    snapshots : str or path-like, default=None
        A folder for a file of the student after each epoch of the main stage,
        ``epoch-0000.student`` untrained, as `soft_students.knowledge.quantify_knowledge` reads
        them. It must hold none of another training; the module must be given by name.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int, default=None
        Threads of training and prediction. None leaves torch's setting alone.
    verbose : int, default=0
        1 shows progress on stderr, on a terminal.

    Attributes
    ----------
    module_ : nn.Module
        The trained network, from inputs of shape ``(n, *input_shape)`` to logits, in eval mode.
    classes_ : ndarray of shape (n_classes,)
    history_ : list of dict
        One row an epoch: stage, epoch, each term of the loss by name, validation accuracy and loss,
        seconds. ``pandas.DataFrame(student.history_)`` shows it as a table.
    input_shape_ : tuple of int
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X had string column names.

    See Also
    --------
    soft_students.methods.available : The methods.

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
        "check_one_hot_targets_are_labels": "probabilities are taught at a temperature",
    }
    _image_settings = staticmethod(neural_settings)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [StrOptions(set(MODULES)), nn.Module, callable],
        "method": [str, Method, list, tuple],
        "method_params": [dict, None],
        "temperature": [Interval(Real, 0, None, closed="neither"), None],
        "hard_weight": [Interval(Real, 0, 1, closed="both"), None],
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
        "transfer": [Transfer, None],
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
        temperature: float | None = None,
        hard_weight: float | None = None,
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
        transfer: Transfer | None = None,
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
        self.transfer = transfer
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike | LabelledParts | None,
        y: Any = None,
        *,
        labels: ArrayLike | None = None,
        teacher: Any = None,
        X_unlabeled: ArrayLike | None = None,
    ) -> Self:
        """Train the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), LabelledParts or None
            Images as rows of pixels. `LabelledParts` are read as training goes on, a window of them
            at a time, once before it and once an epoch, by every process; they say what the teacher
            says, and the true labels if they have a column of these. None for a method that takes
            no data, such as ``"dafl"``; the teacher then says the shape of an input.
        y : teacher, array-like of shape (n_samples, n_classes) or array-like of shape (n_samples,)
            A teacher (anything that :func:`~soft_students.teachers.as_teacher` takes), its
            probabilities for the rows of `X`, or labels. Beside parts, the teacher that has
            labelled them: for methods that look inside it, and for `transfer`.
        labels : array-like of shape (n_samples,), default=None
            True labels beside the teacher.
        teacher : object, default=None
            The teacher by name; `y` may then hold the true labels.
        X_unlabeled : array-like of shape (n, n_features), default=None
            Further rows, which the teacher labels: its choices stand in for their true labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the arguments, the module and the method do not fit each other; the message says how.
        FloatingPointError
            If a term of the loss stops being finite; the message names it, and a checkpoint keeps
            the last good epoch.
        """
        check_processes(self)
        n_processes = self.n_devices * self.n_nodes
        if n_processes > 1 and self.batch_size < 4 * n_processes:
            # The last batch is half as large at the least, and batch normalisation needs two rows.
            raise ValueError(
                f"batch_size={self.batch_size} is too small to be shared by {n_processes} "
                f"processes: it must be at least {4 * n_processes}."
            )
        with unchanged_on_failure(self), torch_threads(self.n_jobs):
            given = {"temperature": self.temperature, "hard_weight": self.hard_weight}
            method = make_method(
                self.method,
                self.method_params,
                {name: value for name, value in given.items() if value is not None},
            )
            if X is None:
                training = self._without_data(method, y if teacher is None else teacher)
            elif isinstance(X, LabelledParts):
                check_only_parts(self, labels=labels, X_unlabeled=X_unlabeled)
                training = self._with_parts(method, X, y, teacher)
            else:
                training = self._with_data(method, X, y, labels, teacher, X_unlabeled)
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
        logits = self._logits(X)  # first: it says so if the student is not fitted
        return self.classes_[logits.argmax(axis=1)]

    def _logits(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float32)
        inputs = torch.from_numpy(np.ascontiguousarray(rows)).view(-1, *self.input_shape_)
        with torch_threads(self.n_jobs), torch.inference_mode():
            parts = [self.module_(part) for part in inputs.split(PREDICT_BATCH)]
        return torch.cat(parts).double().numpy()

    def _with_data(
        self,
        method: Combination,
        X: Any,
        y: Any,
        labels: ArrayLike | None,
        teacher: Any,
        X_unlabeled: ArrayLike | None,
    ) -> Training:
        rows = validate_data(self, X, dtype=np.float32)
        lesson = class_supervision(
            self, X if hasattr(X, "columns") else rows, y, labels, teacher, hard_weight=0.0
        )
        self._set_classes(lesson.classes)
        method = self._teachable(method, lesson.teacher is not None, lesson.labels is not None)
        shape = find_shape(self.input_shape, self.module, rows.shape[1], lesson.teacher)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        logits = lesson.logits
        if lesson.labels is not None:
            codes = lesson.labels
        else:
            assert logits is not None
            codes = logits.argmax(axis=1)
        kept, held_out = hold_out(codes, self.validation_fraction, seed)
        validation = None
        if len(held_out):
            validation = as_training_data(rows[held_out], codes[held_out], shape)
        teacher = teacher_of_rows(lesson.teacher, kept)
        rows, codes, logits = rows[kept], codes[kept], None if logits is None else logits[kept]
        if X_unlabeled is not None:
            more = validate_data(self, X_unlabeled, reset=False, dtype=np.float32)
            shown = X_unlabeled if hasattr(X_unlabeled, "columns") else more
            said = lesson.logits_of(shown)
            logits = np.concatenate([logits, said])
            rows, codes = np.concatenate([rows, more]), np.append(codes, said.argmax(axis=1))
        has_labels = lesson.labels is not None
        return Training(
            module=self.module,
            method=method,
            teacher=teacher,
            logits=logits,
            data=as_training_data(rows, codes if has_labels else None, shape),
            validation=validation,
            preprocess=Standardize.fit(rows, shape) if self.standardize else None,
            input_shape=shape,
            input_range=(float(rows.min()), float(rows.max())),
            n_classes=len(lesson.classes),
            seed=seed,
            **self._shared(),
        )

    def _with_parts(
        self, method: Combination, parts: LabelledParts, y: Any, teacher: Any
    ) -> Training:
        check_parts(self, parts, "classification")
        self._set_classes(PartSupervision.of(parts).classes)
        known = teacher_of(self, parts, y, teacher)
        method = self._teachable(method, has_teacher=True, has_labels=parts.target is not None)
        check_methods(self, method, known)
        self.n_features_in_ = parts.n_features
        self.__dict__.pop("feature_names_in_", None)
        if parts.columns is not None:
            self.feature_names_in_ = np.asarray(parts.columns, dtype=object)
        shape = find_shape(self.input_shape, self.module, parts.n_features, known)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        rows = PartRows(parts, shape, held_out_fraction=self.validation_fraction, seed=seed)
        preprocess, input_range = rows.measure()
        return Training(
            module=self.module,
            method=method,
            teacher=known,
            logits=None,
            data=rows,
            validation=rows.held_out(),
            preprocess=preprocess if self.standardize else None,
            input_shape=shape,
            input_range=input_range,
            n_classes=len(self.classes_),
            seed=seed,
            **self._shared(),
        )

    def _without_data(self, method: Combination, teacher: Any) -> Training:
        wanting = [part.key for part in method.methods if "data" in part.needs]
        if wanting or not method.methods:
            raise ValueError(
                f"{type(self).__name__}.fit got no X, which the method "
                f"{', '.join(map(repr, wanting)) or 'without a teacher'} needs. Pass rows, or use "
                "a method that takes no data, such as 'dafl'."
            )
        if teacher is None:
            raise ValueError("Without X there must be a teacher. Pass fit(None, teacher).")
        teacher = as_teacher(teacher)
        shape = self.input_shape or getattr(teacher, "input_shape", None)
        if not isinstance(teacher, TorchTeacher) or shape is None:
            raise ValueError(
                "Without X the teacher must be a PyTorch module that says the shape of an input. "
                f"Got {teacher!r}; wrap the module as as_teacher(module, input_shape=...)."
            )
        shape = three_sides(shape)
        low = 0.0 if teacher.input_range_ is None else teacher.input_range_[0]
        said = teacher.logits(np.full((2, math.prod(shape)), low, dtype=np.float32))
        self.classes_ = (
            np.arange(said.shape[1]) if teacher.classes_ is None else np.asarray(teacher.classes_)
        )
        self.n_features_in_ = math.prod(shape)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        preprocess = teacher.preprocess if isinstance(teacher.preprocess, Standardize) else None
        return Training(
            module=self.module,
            method=method,
            teacher=teacher,
            logits=None,
            data=None,
            validation=None,
            preprocess=preprocess if self.standardize else None,
            input_shape=shape,
            input_range=teacher.input_range_ or (0.0, 1.0),
            n_classes=len(self.classes_),
            seed=seed,
            **self._shared(),
        )

    def _open_snapshots(self, folder: str | os.PathLike[str], training: Training) -> Snapshots:
        goes_on = self.resume and self.checkpoint is not None and os.path.exists(self.checkpoint)
        snapshots = Snapshots(self, folder, resume=goes_on)
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn once more in training
            snapshots.check(training.student())
        return snapshots

    def _shared(self) -> dict[str, Any]:
        return {
            "epochs": int(self.epochs),
            "batch_size": int(self.batch_size),
            "cache_bytes": int(self.teacher_cache),
            "verbose": int(self.verbose),
            "n_jobs": self.n_jobs,
            "settings": OptimizerSettings(
                self.optimizer,
                float(self.learning_rate),
                float(self.weight_decay),
                float(self.momentum),
                self.schedule,
            ),
            "augment": self.transfer,
            "checkpoint": None if self.checkpoint is None else os.fspath(self.checkpoint),
            "resume": self.resume,
            "snapshots": None,
        }

    def _set_classes(self, classes: np.ndarray) -> None:
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes, got 1 class: {classes[0]!r}."
            )
        self.classes_ = classes

    def _teachable(self, method: Combination, has_teacher: bool, has_labels: bool) -> Combination:
        """Return the methods that can teach here; without a teacher, those that need none."""
        methods = list(method.methods)
        if not has_teacher:
            methods = [part for part in methods if not {"teacher", "network"} & part.needs]
        if not has_labels:
            for part in methods:
                if "labels" in part.needs:
                    raise ValueError(
                        f"The method {part.key!r} needs true labels, but {type(self).__name__}.fit "
                        "got none. Pass fit(X, y), or fit(X, teacher, labels=y)."
                    )
        return Combination(methods)

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        metadata: dict[str, Any] = {"classes": self.classes_, "input_shape": self.input_shape_}
        if hasattr(self, "feature_names_in_"):
            metadata["feature_names"] = self.feature_names_in_
        return metadata, network_arrays(self.module, self.module_)

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        classes, shape = metadata["classes"], metadata["input_shape"]
        if not (isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) > 1):
            raise ValueError("classes must be an array of labels")
        if not (
            isinstance(shape, tuple) and shape and all(type(s) is int and s > 0 for s in shape)
        ):
            raise ValueError(f"input_shape must hold positive ints, not {shape!r}")
        n_features, names = math.prod(shape), metadata.get("feature_names")
        if names is not None:
            if not (isinstance(names, np.ndarray) and names.shape == (n_features,)):
                raise ValueError(f"feature_names must be an array of {n_features} strings")
            self.feature_names_in_ = names
        self.module_ = restore_network(self.module, shape, len(classes), arrays)
        self.classes_, self.input_shape_, self.n_features_in_ = classes, shape, n_features
