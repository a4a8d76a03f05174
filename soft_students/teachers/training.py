"""Train a teacher when there is none: small networks, a few minutes on a CPU."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from joblib import effective_n_jobs
from numpy.random import RandomState
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state, check_X_y

from soft_students.datasets import validation_split
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.teachers.architectures import build, get_architecture
from soft_students.teachers.base import Teacher, TrainingRecord
from soft_students.teachers.checkpoint import (
    PREDICT_BATCH,
    combine,
    plain_data,
    plain_labels,
)
from soft_students.teachers.preprocessing import Standardize
from soft_students.teachers.torch_module import TorchTeacher
from soft_students.teachers.training_loop import Epoch, Plan, Rows, fit_network
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
    arch : {"mlp", "cnn", "resnet"}, default="cnn"
    config : dict, default=None
        Settings of the architecture that differ from its own; see
        `soft_students.teachers.architectures.complete_config`.
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
    entry = get_architecture(arch)
    if average not in ("logits", "probabilities"):
        raise ValueError(
            "The 'average' parameter of train_teacher must be 'logits' or 'probabilities'. "
            f"Got {average!r} instead."
        )
    # All that could be wrong is looked at before minutes go into training.
    described = plain_data(data)
    rng = check_random_state(random_state)
    rows = _prepare(X, y, X_val, y_val, validation_fraction, rng)
    described |= {"n_train": len(rows.X), "n_validation": len(rows.X_val)}
    shape = _image_shape(input_shape, rows.X.shape[1], takes_images=entry.takes_images)
    recipe = entry.recipe
    plan = Plan(
        n_models=n_models,
        epochs=recipe.epochs(len(rows.X)) if epochs is None else epochs,
        batch_size=recipe.batch_size(len(rows.X)) if batch_size is None else batch_size,
        learning_rate=recipe.learning_rate if learning_rate is None else learning_rate,
        weight_decay=recipe.weight_decay,
        augment=augment,
    )
    plan.check()
    standardize = Standardize.fit(rows.X, shape)

    training = None
    if checkpoint is not None:
        training = Checkpoint(
            checkpoint,
            _fingerprint((arch, config, shape, plan), rows, rng),
            resume=resume,
            interval=CHECKPOINT_INTERVAL,
        )
    members = []
    if n_jobs is None and plan.batch_size * rows.X.shape[1] < _SMALL_BATCH:
        n_jobs = 1
    with _threads(n_jobs), _progress_bar(plan, len(rows.X), verbose) as (step, note):

        def report(epoch: Epoch) -> None:
            note(epoch)
            if callback is not None:
                callback(epoch)

        for model in range(1, n_models + 1):
            seed = int(rng.randint(np.iinfo(np.int32).max))
            # The caller's own stream of random numbers stays as it is.
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                network = build(arch, shape, len(rows.classes), config).to(device)
                best = fit_network(
                    network,
                    standardize,
                    rows,
                    plan,
                    model,
                    RandomState(seed),
                    step,
                    report,
                    training,
                )
            member = TorchTeacher(
                network.eval(),
                classes=rows.classes,
                input_shape=shape,
                preprocess=standardize,
                input_range=(float(rows.X.min()), float(rows.X.max())),
                name=arch,
                device=device,
                batch_size=PREDICT_BATCH,
            )
            accuracy = {} if best is None else {"validation": best}
            member.record = TrainingRecord(accuracy, seed, dict(described))
            members.append(member)

    if training is not None:
        training.remove()
    teacher = combine(members, average=average)
    if n_models > 1:
        teacher.record = TrainingRecord(data=dict(described))
        if len(rows.X_val):
            labels = rows.classes[rows.targets_val]
            accuracy = {"validation": float(accuracy_score(labels, teacher.predict(rows.X_val)))}
            teacher.record.accuracy = accuracy
    return teacher


def _fingerprint(description: Any, rows: Rows, rng: RandomState) -> str:
    """Return what tells this training from others, for its checkpoint."""
    digest = hashlib.sha256(repr(description).encode())
    for array in (rows.X, rows.targets, rows.X_val, rows.targets_val):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(repr(rows.classes.tolist()).encode())
    digest.update(pickle.dumps(rng.get_state()))
    return digest.hexdigest()


def _prepare(
    X: np.ndarray,
    y: np.ndarray,
    X_val: np.ndarray | None,
    y_val: np.ndarray | None,
    fraction: float,
    rng: RandomState,
) -> Rows:
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
        return Rows(X, targets, X[:0], targets[:0], classes)
    if X_val is None:
        X, X_val, targets, targets_val = validation_split(
            X, targets, fraction=fraction, random_state=rng
        )
        return Rows(X, targets, X_val, targets_val, classes)
    X_val, y_val = check_X_y(X_val, y_val, dtype=np.float32, estimator="train_teacher")
    if X_val.shape[1] != X.shape[1]:
        raise ValueError(
            f"X_val has {X_val.shape[1]} features, but X has {X.shape[1]}. Give both the same."
        )
    unknown = np.setdiff1d(y_val, classes)
    if len(unknown):
        raise ValueError(f"y_val holds the label {unknown.tolist()[0]!r}, which is not in y.")
    return Rows(X, targets, X_val, np.searchsorted(classes, y_val), classes)


def _image_shape(
    input_shape: tuple[int, ...] | None, n_features: int, *, takes_images: bool
) -> tuple[int, ...]:
    if input_shape is None:
        side = math.isqrt(n_features)
        if not takes_images:
            return (n_features,)
        if side * side != n_features:
            raise ValueError(
                f"Rows of {n_features} features are no square images. Say what they hold by "
                "input_shape=(height, width) or (channels, height, width), or use arch='mlp'."
            )
        return (1, side, side)
    shape = tuple(int(side) for side in input_shape)
    if math.prod(shape) != n_features:
        raise ValueError(
            f"input_shape {shape} needs {math.prod(shape)} features a row. X has {n_features}."
        )
    return (1, *shape) if len(shape) == 2 else shape


@contextlib.contextmanager
def _threads(n_jobs: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if n_jobs is not None:
            torch.set_num_threads(effective_n_jobs(n_jobs))
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _progress_bar(
    plan: Plan, n_rows: int, verbose: int
) -> Iterator[tuple[Callable[[], None], Callable[[Epoch], None]]]:
    """Yield what to call after each batch and after each epoch."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, disable=not (verbose and console.is_terminal), transient=True
    ) as progress:
        total = plan.n_models * plan.epochs * plan.batches(n_rows)
        task = progress.add_task("Training the teacher", total=total)

        def note(epoch: Epoch) -> None:
            text = f"Teacher {epoch.model}/{epoch.n_models}, epoch {epoch.epoch}/{epoch.n_epochs}"
            if epoch.validation_accuracy is not None:
                text += f", {epoch.validation_accuracy:.2%} on validation rows"
            progress.update(task, description=text)

        yield lambda: progress.advance(task), note
