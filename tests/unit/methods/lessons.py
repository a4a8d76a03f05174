"""A small lesson for methods: sixteen rows of 1x8x8, student and teacher of unequal layers."""

import copy

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from soft_students.methods import TrainingData, make_method
from soft_students.methods.lesson import Lesson
from soft_students.methods.teacher_outputs import TeacherOutputs
from soft_students.teachers import TorchTeacher
from soft_students.training.loop import run_stages
from soft_students.training.optimization import OptimizerSettings


def network(channels, n_classes=4):
    """Return two convolutions (8x8 and 4x4) and a head; "1" and "5" are the activations."""
    first, second = channels
    return nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1),
        nn.BatchNorm2d(second),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(second, n_classes),
    )


def lesson(student=(3, 5), teacher=(4, 6), n_classes=4, epochs=4, labels=True, n_rows=16):
    torch.manual_seed(0)
    make = torch.Generator().manual_seed(1)
    inputs = torch.randn(n_rows, 1, 8, 8, generator=make)
    device = torch.device("cpu")
    module = network(teacher, n_classes).eval()
    known = TorchTeacher(module, classes=np.arange(n_classes), input_shape=(1, 8, 8), kind="logits")
    outputs = TeacherOutputs(known, n_rows, device)
    return Lesson(
        student=network(student, n_classes),
        teacher=outputs,
        data=TrainingData(inputs, torch.arange(n_rows) % n_classes if labels else None),
        epochs=epochs,
        batch_size=8,
        n_classes=n_classes,
        input_shape=(1, 8, 8),
        generator=torch.Generator().manual_seed(2),
        make_student=lambda: network(student, n_classes),
    )


def taught(given, method, parameters=None, checkpoint=None, precision="32-true", **settings):
    """Teach, and return the history; the student of the lesson has learnt."""
    torch.manual_seed(3)
    made = make_method(method, parameters)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    with given.teacher.frozen():
        made.check(given)
        _, history = run_stages(
            made.stages(given), given, OptimizerSettings(**settings), fabric, checkpoint=checkpoint
        )
    return history


def stage_by_stage(given, method):
    """Return the stages of a LossMethod before the main one, and its adapter; nothing trains."""
    stages = []
    preparation = method.prepare(given, given.student)
    while True:
        try:
            stages.append(next(preparation))
        except StopIteration as end:
            return stages, end.value


def state(module):
    return copy.deepcopy(module.state_dict())


def changed(before, module):
    """Return the names of parameters and buffers that differ from a state."""
    now = module.state_dict()
    return {name for name in now if not torch.equal(now[name], before[name])}
