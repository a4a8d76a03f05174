"""Train a teacher when there is none: small networks, a few minutes on a CPU."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.utils import check_random_state, check_X_y

from soft_students.datasets import validation_split
from soft_students.networks.prepared import Prepared
from soft_students.networks.shapes import shape_of_rows
from soft_students.networks.zoo import get_network
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.teachers.base import Teacher, TrainingRecord
from soft_students.teachers.checkpoint import (
    PREDICT_BATCH,
    plain_data,
    plain_labels,
)
from soft_students.teachers.course import Epoch, Split, TeacherCourse
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.network import BuiltNetwork
from soft_students.teachers.preprocessing import Standardize
from soft_students.teachers.torch_module import TorchTeacher
from soft_students.threads import torch_threads
from soft_students.training.loop import Alone, run_stages
from soft_students.training.optimization import OptimizerSettings
from soft_students.transfer import Transfer

_SMALL_BATCH = 2**15  # values
CHECKPOINT_INTERVAL = 10.0  # seconds between checkpoints, at the least


def train_teacher(
    X: np.ndarray,
    y: np.ndarray,
    *,
    arch: str = "cnn",
    config: Mapping[str, Any] | None = None,
    input_shape: tuple[int, ...] | None = None,
    X_val: np.ndarray | None = None,
    y_val: np.ndarray | None = None,
    validation_fraction: float = 0.1,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    augment: Transfer | None = None,
    n_models: int = 1,
    average: str = "logits",
    random_state: int | RandomState | None = None,
    n_jobs: int | None = None,
    device: str = "cpu",
    verbose: int = 0,
    callback: Callable[[Epoch], object] | None = None,
    data: Mapping[str, Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> Teacher:
    """Train a classifier to learn from, or an ensemble of them.

    Inputs are standardised, by channel for images and by feature for tables. AdamW follows a
    one-cycle schedule. The weights kept are those of the last epoch whose validation accuracy is
    within one standard error of the best. Labels are not smoothed: that erases what a teacher knows
    about the likeness of classes, which is what a student learns from [1]_.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Training rows, images as rows of pixels. A test set has no place here.
    y : array-like of shape (n,)
        Their labels: numbers or strings.
    arch : str, default="cnn"
        A network of `soft_students.networks.zoo.NETWORKS`: "mlp" for tables; "cnn", "resnet" and
        others for images.
    config : dict, default=None
        Settings of the network that differ from a teacher's defaults. "mlp" has ``hidden``
        (``[256, 256]``) and ``dropout`` (0.1); those of "cnn" and "resnet" are the keyword
        arguments of `soft_students.networks.convolutional.cnn` and
        `soft_students.networks.residual.pooled_resnet`.
    input_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of the image in each row. None takes square
        single-channel images where the architecture needs images, plain features elsewhere.
    X_val, y_val : array-like, default=None
        Rows to select an epoch on. None splits them off `X`.
    validation_fraction : float, default=0.1
        Fraction of `X` to split off, in [0, 1), by `soft_students.datasets.validation_split`.
        With 0 the last epoch is kept and no validation accuracy is known. Ignored when `X_val` is
        given.
    epochs, batch_size : int, default=None
        None takes what suits the architecture and the number of rows.
    learning_rate : float, default=None
        Peak of the one-cycle schedule. None takes what suits the architecture.
    augment : Transfer, default=None
        Distorts each training batch, e.g. `soft_students.transfer.ImageDistortion`.
    n_models : int, default=1
        Networks to train, from different seeds, on the same rows; more than one is an ensemble.
    average : {"logits", "probabilities"}, default="logits"
        What an ensemble averages.
    random_state : int, RandomState instance or None, default=None
        Decides the split, and the first weights, order and distortions of every network.
    n_jobs : int, default=None
        Threads; -1 takes all cores. None leaves torch's setting as it is, but takes one thread
        where a batch holds fewer than 32,768 values: several would only wait for each other.
    device : str, default="cpu"
    verbose : int, default=0
        With 1 or more, a progress bar on standard error where that is a terminal.
    callback : callable, default=None
        Called with an `Epoch` after each epoch. An exception from it ends the training.
    data : dict, default=None
        What `X` and `y` are, of plain JSON values, such as ``{"name": "digits"}``: kept in the
        teacher's file.
    checkpoint : str or path-like, default=None
        A file for the state of the training, written every ten seconds and removed at the end.
    resume : bool, default=False
        Go on from `checkpoint` if it is there: on the CPU, to the same result bit for bit.

    Returns
    -------
    Teacher
        With what is known of its training in the attribute `record`.

    Raises
    ------
    ValueError
        If an argument cannot be used, or the loss stops being finite.

    References
    ----------
    .. [1] Müller, Kornblith and Hinton (2019), "When does label smoothing help?", section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students.teachers import train_teacher
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = train_teacher(X, y, arch="mlp", epochs=5, random_state=0)
    >>> teacher.predict_proba(X).shape
    (150, 3)
    """
    entry = get_network(arch)
    if average not in ("logits", "probabilities"):
        raise ValueError(
            "The 'average' parameter of train_teacher must be 'logits' or 'probabilities'. "
            f"Got {average!r} instead."
        )
    # All arguments are checked before minutes go into training.
    described = plain_data(data)
    rng = check_random_state(random_state)
    split = _prepare(X, y, X_val, y_val, validation_fraction, rng)
    described |= {"n_train": len(split.X), "n_validation": len(split.X_val)}
    shape = shape_of_rows(input_shape, split.X.shape[1], takes_images=entry.takes_images)
    recipe = entry.recipe
    rate = recipe.learning_rate if learning_rate is None else learning_rate
    optimizer = OptimizerSettings("adamw", rate, recipe.weight_decay)
    course = TeacherCourse(
        split,
        n_models,
        recipe.epochs(len(split.X)) if epochs is None else epochs,
        recipe.batch_size(len(split.X)) if batch_size is None else batch_size,
        rate,
        augment,
        torch.device(device),
    )
    standardize = Standardize.fit(split.X, shape)

    def make() -> Prepared:
        network = BuiltNetwork(arch, shape, len(split.classes), config)
        return Prepared(network, standardize, shape)

    kept = None
    if checkpoint is not None:
        sizes = (shape, n_models, course.epochs, course.batch_size)
        fingerprint = _fingerprint((arch, config, sizes, optimizer, augment), split, rng)
        kept = Checkpoint(checkpoint, fingerprint, resume=resume, interval=CHECKPOINT_INTERVAL)
    if n_jobs is None and course.batch_size * split.X.shape[1] < _SMALL_BATCH:
        n_jobs = 1
    # The caller's own stream of random numbers stays as it is.
    with torch_threads(n_jobs), torch.random.fork_rng():
        trained, _ = run_stages(
            course.stages(make, rng),
            course,
            optimizer,
            Alone(),
            checkpoint=kept,
            on_epoch=None if callback is None else lambda report: callback(course.epoch_of(report)),
            verbose=verbose > 0,
        )
    members = [
        _member(network, split, device, TrainingRecord(accuracy, seed, dict(described)))
        for network, seed, accuracy in trained
    ]
    if kept is not None:
        kept.remove()
    return members[0] if n_models == 1 else _ensemble(members, average, split, described)


def _ensemble(
    members: list[TorchTeacher], average: str, split: Split, data: dict[str, Any]
) -> Teacher:
    teacher = EnsembleTeacher(members, average=average)
    teacher.record = TrainingRecord(data=dict(data))
    if len(split.X_val):
        correct = teacher.predict(split.X_val) == split.classes[split.targets_val]
        teacher.record.accuracy = {"validation": float(correct.mean())}
    return teacher


def _member(network: Prepared, split: Split, device: str, record: TrainingRecord) -> TorchTeacher:
    built = network.module.eval()
    assert isinstance(built, BuiltNetwork)
    member = TorchTeacher(
        built,
        classes=split.classes,
        input_shape=built.input_shape,
        preprocess=network.preprocess,
        input_range=(float(split.X.min()), float(split.X.max())),
        name=built.arch,
        device=device,
        batch_size=PREDICT_BATCH,
    )
    member.record = record
    return member


def _fingerprint(description: Any, split: Split, rng: RandomState) -> str:
    """Return what tells this training from others, for its checkpoint."""
    digest = hashlib.sha256(repr(description).encode())
    for array in (split.X, split.targets, split.X_val, split.targets_val):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(repr(split.classes.tolist()).encode())
    digest.update(pickle.dumps(rng.get_state()))
    return digest.hexdigest()


def _prepare(
    X: np.ndarray,
    y: np.ndarray,
    X_val: np.ndarray | None,
    y_val: np.ndarray | None,
    fraction: float,
    rng: RandomState,
) -> Split:
    X, y = check_X_y(X, y, dtype=np.float32, estimator="train_teacher")
    classes, targets = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "train_teacher needs labels of at least two classes. All labels in y are "
            f"{classes.tolist()[0]!r}."
        )
    plain_labels(classes, len(classes))
    if (X_val is None) != (y_val is None):
        raise ValueError("train_teacher needs both X_val and y_val, or neither.")
    if not 0 <= fraction < 1:
        raise ValueError(
            "The 'validation_fraction' parameter of train_teacher must be in the range [0, 1). "
            f"Got {fraction!r} instead."
        )
    if X_val is None and fraction == 0:
        return Split(X, targets, X[:0], targets[:0], classes)
    if X_val is None:
        X, X_val, targets, targets_val = validation_split(
            X, targets, fraction=fraction, random_state=rng
        )
        return Split(X, targets, X_val, targets_val, classes)
    X_val, y_val = check_X_y(X_val, y_val, dtype=np.float32, estimator="train_teacher")
    if X_val.shape[1] != X.shape[1]:
        raise ValueError(
            f"X_val has {X_val.shape[1]} features, but X has {X.shape[1]}. Give both the same."
        )
    unknown = np.setdiff1d(y_val, classes)
    if len(unknown):
        raise ValueError(f"y_val holds the label {unknown.tolist()[0]!r}, which is not in y.")
    return Split(X, targets, X_val, np.searchsorted(classes, y_val), classes)
