"""Checks for authors of distillation methods; every method must pass them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor, nn

from soft_students.methods import Batch, Combination, Lesson, Method, Paper, Stage, TrainingData
from soft_students.methods.teacher_outputs import TeacherOutputs
from soft_students.networks.prepared import Prepared
from soft_students.students.neural import NeuralStudentClassifier
from soft_students.teachers import TorchTeacher
from soft_students.testing.instances import quick_instance

_SHAPE = (1, 8, 8)
_CLASSES = 3
_ROWS = 48
_NEEDS = {"teacher", "network", "labels", "data", "images", "distortions"}


def check_method(method: Method | type[Method]) -> None:
    """Run every check on a method.

    Parameters
    ----------
    method : Method or type
        A class is checked with the parameters that its ``_test_params`` returns.

    Raises
    ------
    AssertionError
        If a check fails; the message describes the fault.

    Examples
    --------
    >>> from soft_students.methods import KD
    >>> from soft_students.testing import check_method
    >>> check_method(KD)
    """
    for check in METHOD_CHECKS:
        check(quick_instance(method))


def check_teacher_is_untouched(method: Method) -> None:
    """Check that a fit changes no weight, statistic, mode, flag or gradient of the teacher."""
    teacher = _teacher(method)
    module = teacher.module
    module.train()  # a fit must restore this mode
    before = copy.deepcopy(module.state_dict())
    _fit(method, teacher)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), f"the teacher's {name} has changed"
    for name, parameter in module.named_parameters():
        assert parameter.grad is None, f"the teacher's {name} has a gradient"
        assert parameter.requires_grad, f"the teacher's {name} stayed frozen"
    assert all(part.training for part in module.modules()), "a mode of the teacher has changed"


def check_no_hook_is_left(method: Method) -> None:
    """Check that a fit leaves no hook on the teacher or the student."""
    teacher = _teacher(method)
    student = _fit(method, teacher)
    for network in (teacher.module, student.module_):
        for name, part in network.named_modules():
            left = [*part._forward_hooks, *part._forward_pre_hooks, *part._backward_hooks]
            assert not left, f"{name or 'the network'} has {len(left)} hooks left"


def check_fit_repeats(method: Method) -> None:
    """Check that equal seeds give bit-identical weights, in a new student and a second fit."""
    student = _fit(method, _teacher(method))
    first = copy.deepcopy(student.module_.state_dict())
    history = student.history_
    for again in (_fit(method, _teacher(method)), _fit(method, _teacher(method), student)):
        for name, value in again.module_.state_dict().items():
            assert torch.equal(value, first[name]), f"{name} differs between two equal fits"
        for row, other in zip(history, again.history_, strict=True):
            same = {k: v for k, v in row.items() if k != "seconds"}
            assert same == {k: v for k, v in other.items() if k != "seconds"}


def check_method_holds_parameters_alone(method: Method) -> None:
    """Check that a fit changes no attribute of the method, and that the method can be cloned."""
    before = dict(vars(method))
    _fit(method, _teacher(method))
    assert vars(method) == before, "a fit has changed the method"
    again = clone(method)
    assert again is not method
    assert again.get_params() == method.get_params()
    assert set(vars(again)) == set(method.get_params(deep=False)), "not all attributes are cloned"


def check_everything_that_trains_gets_a_gradient(method: Method) -> None:
    """Check the gradients of all players; only the student may lack some before the last stage."""
    lesson = _lesson(method)
    assert_teacher = lesson.teacher
    frozen = _frozen(assert_teacher)
    with frozen:
        stages = list(_walk(method, lesson))
        for number, (_, gradients) in enumerate(stages):
            last = number == len(stages) - 1
            for owner, name, gradient in gradients:
                if last or owner is not lesson.student:
                    assert gradient is not None, f"{name} gets no gradient"
            assert any(g is not None and bool((g != 0).any()) for _, _, g in gradients)


def check_odd_batches_are_finite(method: Method) -> None:
    """Check losses and gradients of one row, one class, equal rows and rows of zeros."""
    lesson = _lesson(method)
    if lesson.data is None:
        return
    data = lesson.training_data()
    assert data.labels is not None
    same = torch.where(data.labels == data.labels[0])[0][:4]
    batches = {
        "one row": data.inputs[:1],
        "rows of one class": data.inputs[same],
        "equal rows": data.inputs[:1].repeat(4, 1, 1, 1),
        "rows of zeros": torch.zeros_like(data.inputs[:4]),
    }
    with _frozen(lesson.teacher):
        for stage in _stages(method, lesson):
            for what, inputs in batches.items():
                labels = data.labels[:1].repeat(len(inputs))
                batch = Batch(inputs, labels, None, index=torch.arange(len(inputs)))
                for player in stage.players:
                    parameters = [
                        p for m in player.trains for p in m.parameters() if p.requires_grad
                    ]
                    for module in player.trains:
                        module.eval()  # in train mode batch normalisation fails on one row
                    total = _total(player.loss(batch))
                    assert torch.isfinite(total), f"the loss of {what} is {total}"
                    if total.requires_grad:
                        found = torch.autograd.grad(total, parameters, allow_unused=True)
                        fine = all(g is None or bool(torch.isfinite(g).all()) for g in found)
                        assert fine, f"a gradient of {what} is not finite"


def check_student_that_is_the_teacher_pays_nothing(method: Method) -> None:
    """Check that the terms vanish for a copy of the teacher, if `_zero_when_equal` is set."""
    if not method._zero_when_equal:
        return
    lesson = _lesson(method, like_student=True)
    assert lesson.teacher is not None
    assert isinstance(lesson.student, Prepared)
    network = lesson.teacher.require_network(method.key)
    lesson.student.module.load_state_dict(network.module.state_dict())  # type: ignore[union-attr]
    lesson.student.preprocess = network.preprocess  # type: ignore[assignment]
    with _frozen(lesson.teacher):
        stage = list(_stages(method, lesson))[-1]
        batch = next(iter(stage.batches or lesson.batches()))
        for player in stage.players:
            for module in player.trains:
                module.eval()
            for name, value in player.loss(batch).items():
                if name != "labels":
                    assert abs(value.item()) < 1e-4, f"{name} is {value.item()}"


def check_order_of_a_batch_is_irrelevant(method: Method) -> None:
    """Check that the order of the rows does not change the loss, unless `_order_matters` is set."""
    lesson = _lesson(method)
    if method._order_matters or lesson.data is None:
        return
    with _frozen(lesson.teacher):
        stage = list(_stages(method, lesson))[-1]
        batch = next(iter(stage.batches or lesson.batches()))
        order = torch.arange(len(batch.inputs)).flip(0)
        rows = None if batch.rows is None else batch.rows[order]
        index = None if batch.index is None else batch.index[order]
        labels = None if batch.labels is None else batch.labels[order]
        turned = replace(batch, inputs=batch.inputs[order], labels=labels, rows=rows, index=index)
        for player in stage.players:
            for module in player.trains:
                module.eval()
            a, b = _total(player.loss(batch)), _total(player.loss(turned))
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def check_facts_are_declared(method: Method) -> None:
    """Key, title, paper and needs are declared, and all parameters documented."""
    assert method.key.isidentifier(), f"the key {method.key!r} is not an identifier"
    assert method.title, "the title is empty"
    assert isinstance(method.paper, Paper), "paper must be a Paper"
    assert method.paper.link, "the paper has no link"
    assert method.needs <= _NEEDS, f"needs holds {sorted(method.needs - _NEEDS)}"
    assert "network" not in method.needs or "teacher" in method.needs, "a network is a teacher"
    for name in method.get_params(deep=False):
        assert name in (method.__doc__ or ""), f"the parameter {name!r} is not documented"


#: All checks; each takes a `Method` and raises AssertionError if it fails.
METHOD_CHECKS: list[Callable[[Method], None]] = [
    check_facts_are_declared,
    check_teacher_is_untouched,
    check_no_hook_is_left,
    check_fit_repeats,
    check_method_holds_parameters_alone,
    check_everything_that_trains_gets_a_gradient,
    check_odd_batches_are_finite,
    check_student_that_is_the_teacher_pays_nothing,
    check_order_of_a_batch_is_irrelevant,
]


def _network(channels: int) -> nn.Module:
    """Return a small network with every kind of layer that methods compare."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * channels, _CLASSES),
    )


def _student_network(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    return _network(4)


def _teacher(method: Method, *, like_student: bool = False) -> TorchTeacher:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = _network(4 if like_student or method._needs_equal_channels else 8)
        for _ in range(3):  # move the statistics of batch normalisation
            network(torch.rand(16, *_SHAPE))
    return TorchTeacher(
        network,
        classes=np.arange(_CLASSES),
        input_shape=_SHAPE,
        input_range=(0.0, 1.0),
        preprocess={"mean": 0.5, "std": 0.3},
    )


def _rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(0)
    return rng.rand(_ROWS, 64).astype(np.float32), np.arange(_ROWS) % _CLASSES


def _fit(
    method: Method, teacher: TorchTeacher, student: NeuralStudentClassifier | None = None
) -> NeuralStudentClassifier:
    if student is None:
        student = NeuralStudentClassifier(
            _student_network, method=method, epochs=2, batch_size=12, random_state=0
        )
    if "data" not in method.needs:
        return student.fit(None, teacher)
    X, y = _rows()
    return student.fit(X, teacher, labels=y)


def _lesson(method: Method, *, like_student: bool = False) -> Lesson:
    torch.manual_seed(0)
    device = torch.device("cpu")
    X, y = _rows()
    data = TrainingData(torch.from_numpy(X).view(-1, *_SHAPE), torch.from_numpy(y))

    def make_student() -> nn.Module:
        return Prepared(_network(4), None, _SHAPE)

    has_data = "data" in method.needs
    return Lesson(
        student=make_student(),
        teacher=TeacherOutputs(_teacher(method, like_student=like_student), _ROWS, device),
        data=data if has_data else None,
        epochs=2,
        batch_size=12,
        n_classes=_CLASSES,
        input_shape=_SHAPE,
        generator=torch.Generator().manual_seed(0),
        make_student=make_student,
        device=device,
    )


def _frozen(teacher: TeacherOutputs | None):  # type: ignore[no-untyped-def]
    assert teacher is not None
    return teacher.frozen()


def _stages(method: Method, lesson: Lesson) -> Iterator[Stage]:
    method.check(lesson)
    yield from Combination([method]).stages(lesson)


def _walk(
    method: Method, lesson: Lesson
) -> Iterator[tuple[Stage, list[tuple[nn.Module, str, Tensor | None]]]]:
    """Yield each stage and the gradients of one pass, by module and name."""
    for stage in _stages(method, lesson):
        gradients = []
        for player in stage.players:
            for module in player.trains:
                module.train()
                module.zero_grad()
        for batch in stage.batches or lesson.batches():
            for player in stage.players:
                _total(player.loss(batch)).backward()
        for player in stage.players:
            for module in player.trains:
                for name, parameter in module.named_parameters():
                    if parameter.requires_grad:
                        gradients.append((module, name, parameter.grad))
        yield stage, gradients


def _total(terms: object) -> Tensor:
    assert hasattr(terms, "values")
    return torch.stack([value.reshape(()) for value in terms.values()]).sum()
