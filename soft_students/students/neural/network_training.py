"""Training of a neural student in one process or several."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from soft_students.methods import Combination, Lesson, TrainingData
from soft_students.methods.teacher_outputs import TeacherOutputs
from soft_students.networks.prepared import Prepared, reset
from soft_students.networks.zoo import Factory, make_network
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.students.neural.snapshots import Snapshots
from soft_students.teachers import Teacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.threads import torch_threads
from soft_students.training.batch import StreamedData
from soft_students.training.loop import run_stages
from soft_students.training.optimization import OptimizerSettings
from soft_students.transfer import Transfer


@dataclass
class NetworkTraining:
    """Picklable description of a training.

    Parameters
    ----------
    module : str, nn.Module or callable
        Parameter `module` of the estimator.
    method : Combination
    teacher : Teacher or None
    logits : ndarray of shape (n, n_classes) or None
        The teacher's logits of the training rows; None if the data contain them.
    data : TrainingData, StreamedData or None
    validation : TrainingData or None
    preprocess : Standardize or None
        Standardisation of the student's inputs.
    input_shape : tuple of int
    input_range : tuple of float
    n_classes, epochs, batch_size, seed, cache_bytes, verbose : int
    n_jobs : int or None
        Threads per process; None keeps torch's setting.
    settings : OptimizerSettings
    augment : Transfer or None
    checkpoint : str or None
    resume : bool
    snapshots : Snapshots or None
    """

    module: str | nn.Module | Factory
    method: Combination
    teacher: Teacher | None
    logits: np.ndarray | None
    data: TrainingData | StreamedData | None
    validation: TrainingData | None
    preprocess: Standardize | None
    input_shape: tuple[int, ...]
    input_range: tuple[float, float]
    n_classes: int
    epochs: int
    batch_size: int
    seed: int
    cache_bytes: int
    verbose: int
    n_jobs: int | None
    settings: OptimizerSettings
    augment: Transfer | None
    checkpoint: str | None
    resume: bool
    snapshots: Snapshots | None

    def student(self, *, fresh: bool = False) -> Prepared:
        """Return an untrained student; with `fresh`, a given module gets new weights, too."""
        if isinstance(self.module, str):
            network = make_network(self.module, self.input_shape, self.n_classes)
        elif isinstance(self.module, nn.Module):
            network = copy.deepcopy(self.module)
            network = reset(network) if fresh else network
        else:
            network = self.module(self.input_shape, self.n_classes)
            if not isinstance(network, nn.Module):
                raise TypeError(
                    "The factory given as 'module' must return a torch.nn.Module. Got "
                    f"{type(network).__name__} instead."
                )
        return Prepared(network, self.preprocess, self.input_shape)

    def fingerprint(self) -> str:
        """Return a digest that identifies the training, for its checkpoint."""
        digest = hashlib.sha256()
        described = [
            self.module if isinstance(self.module, str) else type(self.module).__name__,
            repr(self.method.methods),
            self.settings,
            repr(self.augment),
            (self.input_shape, self.n_classes, self.epochs, self.batch_size, self.seed),
            self.preprocess is None,
        ]
        digest.update(repr(described).encode())
        if self.data is not None:
            digest.update(self.data.fingerprint().encode())
        if self.logits is not None:
            digest.update(self.logits.tobytes())
        return digest.hexdigest()


@dataclass
class TrainedNetwork:
    """Result of a training.

    Parameters
    ----------
    network : nn.Module
        Network that maps inputs to logits, in eval mode, on the CPU.
    history : list of dict
        One entry per epoch.
    """

    network: nn.Module
    history: list[dict[str, Any]]


def train(fabric: Fabric, training: NetworkTraining) -> TrainedNetwork:
    """Train on the device of this process, jointly with other processes."""
    if fabric.world_size > 1 and isinstance(training.module, nn.Module):
        # Each process started by torchrun has made its own module.
        training = replace(training, module=fabric.broadcast(training.module))
    method, data, teacher = training.method, training.data, None
    # The caller's random state is not changed.
    with torch_threads(training.n_jobs), torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        if training.teacher is not None:
            n_rows = 0 if data is None else len(data)
            teacher = TeacherOutputs(training.teacher, n_rows, fabric.device, training.cache_bytes)
            if teacher.network is not None:
                teacher.network.to(fabric.device)
            if training.logits is not None:
                teacher.know(training.logits)
        lesson = Lesson(
            student=training.student().to(fabric.device),
            teacher=teacher,
            data=data,
            epochs=training.epochs,
            batch_size=training.batch_size,
            n_classes=training.n_classes,
            input_shape=training.input_shape,
            generator=torch.Generator().manual_seed(training.seed),
            make_student=lambda: training.student(fresh=True).to(fabric.device),
            device=fabric.device,
            augment=training.augment,
            validation=training.validation,
            input_range=training.input_range,
            share=(fabric.global_rank, fabric.world_size),
        )
        checkpoint = None
        if training.checkpoint is not None:
            checkpoint = Checkpoint(
                training.checkpoint, training.fingerprint(), resume=training.resume
            )
            # Other hosts may have no access to the file of the first.
            checkpoint = fabric.broadcast(checkpoint)
        snapshots = training.snapshots if fabric.is_global_zero else None
        frozen = contextlib.nullcontext() if teacher is None else teacher.frozen()
        with frozen:
            method.check(lesson)
            network, history = run_stages(
                method.stages(lesson),
                lesson,
                training.settings,
                fabric,
                checkpoint=checkpoint,
                on_network=None if snapshots is None else snapshots.write,
                verbose=bool(training.verbose),
            )
    return TrainedNetwork(network.to("cpu").eval(), history)
