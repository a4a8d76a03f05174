"""Base classes of the methods: generators of stages, trained by `soft_students.training.loop`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from torch import Tensor, nn

from soft_students.methods.facts import Paper
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.observation import (
    Observation,
    embedding_layer,
    observe,
    peek,
    spatial_layers,
)
from soft_students.training.batch import Batch, Passes, Sampler
from soft_students.training.stages import Player, Stage, Terms
from soft_students.transfer import Transfer


class Method(BaseEstimator, ABC):
    """Base class of the distillation methods. Its parameters are hyper-parameters only.

    Attributes
    ----------
    key : str
        Class attribute: name in the catalogue.
    title : str
        Class attribute: full name.
    paper : Paper
        Class attribute: the publication.
    needs : frozenset of str
        Class attribute, a subset of ``"teacher"`` (soft targets), ``"network"`` (a teacher that is
        a PyTorch module), ``"labels"``, ``"data"``, ``"images"``, ``"distortions"``.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[Paper]
    needs: ClassVar[frozenset[str]]

    #: Whether the terms vanish for a student that equals its teacher, as the paper implies.
    _zero_when_equal: ClassVar[bool] = False

    #: Whether the loss depends on the order of the rows of a batch.
    _order_matters: ClassVar[bool] = False

    #: Whether compared layers of student and teacher must have equal numbers of channels.
    _needs_equal_channels: ClassVar[bool] = False

    #: Allowed values of each parameter, in scikit-learn's form; validated before `check`.
    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        """Return parameters under which all checks of `soft_students.testing` pass quickly."""
        return {}

    @abstractmethod
    def stages(self, lesson: Lesson, objective: Objective) -> Generator[Stage, None, nn.Module]:
        """Yield the stages in order; return the network that predicts afterwards.

        Parameters
        ----------
        lesson : Lesson
        objective : Objective
            The student's task: cross-entropy to the labels, and the terms of the methods that this
            one is combined with.
        """

    @property
    def needs_all_rows(self) -> bool:
        """Whether all training rows must be in memory, to sample or to index them."""
        return False

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError, before any training, if the method does not suit the lesson."""


class LossMethod(Method):
    """A method that adds terms to the loss of one student. Such methods can be combined.

    Subclasses define `terms`, and may define `adapter`, `prepare`, `sampler`, `augment`,
    `predictor` and `layers`.
    """

    #: Layers compared by default: "none", "embedding" (the input of the last linear layer),
    #: "spatial" (the last feature map of each resolution) or "preactivation" (the input of the
    #: last activation function of each resolution).
    looks_at: ClassVar[str] = "none"

    @property
    def label_weight(self) -> float:
        """Weight of the cross-entropy to the labels."""
        return 1.0

    @abstractmethod
    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the named, weighted terms of one batch."""

    def adapter(self, lesson: Lesson, network: nn.Module) -> nn.Module | None:
        """Return a module to train with the student, such as a regressor between features."""
        return None

    def prepare(
        self, lesson: Lesson, network: nn.Module
    ) -> Generator[Stage, None, nn.Module | None]:
        """Yield stages before the main one; return the adapter of the main one."""
        yield from ()
        return self.adapter(lesson, network)

    def sampler(self, lesson: Lesson) -> Sampler | None:
        """Return the sampler of batches that the method needs; None accepts any."""
        return None

    def augment(self, lesson: Lesson) -> Transfer | None:
        """Return the distortion of each batch's inputs; None takes the lesson's."""
        return None

    def predictor(self, network: nn.Module, adapter: nn.Module | None) -> nn.Module | None:
        """Return the module that predicts after training; None means the network itself."""
        return None

    def layers(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the layers of student and teacher to compare, in pairs.

        The parameters `student_layers` and `teacher_layers` name them. By default `looks_at`
        selects them: of n and m spatial layers, the deepest min(n, m) of each network.
        """
        if self.looks_at == "none":
            return [], []
        parameters = self.get_params(deep=False)
        ours, theirs = parameters.get("student_layers"), parameters.get("teacher_layers")
        student = list(ours) if ours else find_layers(network, lesson, self.looks_at)
        if "network" not in self.needs:
            return student, []
        assert lesson.teacher is not None
        there = lesson.teacher.require_network(self.key)
        teacher = list(theirs) if theirs else find_layers(there, lesson, self.looks_at)
        if not ours and not theirs:
            pairs = min(len(student), len(teacher))
            student, teacher = student[-pairs:], teacher[-pairs:]
        elif len(student) != len(teacher):
            if ours and theirs:
                raise ValueError(
                    f"The method {self.key!r} compares layers in pairs. Got {len(student)} "
                    f"student_layers and {len(teacher)} teacher_layers."
                )
            pairs = len(student) if ours else len(teacher)
            student, teacher = student[-pairs:], teacher[-pairs:]
            if len(student) != len(teacher):
                raise ValueError(
                    f"The method {self.key!r} compares layers in pairs. Got {len(student)} of the "
                    f"student and {len(teacher)} of the teacher. Name both student_layers and "
                    "teacher_layers."
                )
        return student, teacher

    def watched(self, lesson: Lesson, network: nn.Module) -> tuple[list[str], list[str]]:
        """Return the part of `layers` that `terms` reads; none if only earlier stages use them."""
        return self.layers(lesson, network)

    def shapes(
        self, lesson: Lesson, network: nn.Module, *, maps: bool = False
    ) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the shapes of the compared layers for one row, in pairs (student, teacher).

        Parameters
        ----------
        lesson : Lesson
        network : nn.Module
        maps : bool, default=False
            Whether to require feature maps (channels, height, width).
        """
        names = self.layers(lesson, network)
        assert lesson.teacher is not None
        there = lesson.teacher.require_network(self.key)
        found: list[list[tuple[int, ...]]] = []
        for who, of, layers in zip(("student", "teacher"), (network, there), names, strict=True):
            seen = peek(of, lesson.example(), layers).features
            found.append([tuple(feature.shape[1:]) for feature in seen])
            for name, shape in zip(layers, found[-1], strict=True):
                if maps and len(shape) != 3:
                    raise ValueError(
                        f"The method {self.key!r} compares feature maps (channels, height, width). "
                        f"The layer {name!r} of the {who} gives {shape}; name another in "
                        f"{who}_layers."
                    )
        return list(zip(*found, strict=True))

    def look(self, lesson: Lesson, network: nn.Module) -> Callable[[Batch], Step]:
        """Return a function from a batch to a `Step`, for stages before the main one."""
        ours, theirs = self.layers(lesson, network)
        teacher = lesson.teacher
        assert teacher is not None

        def see(batch: Batch) -> Step:
            student = observe(network, batch.inputs, ours)
            return Step(batch, student, teacher.observe(batch, theirs), network, lesson)

        return see

    def stages(self, lesson: Lesson, objective: Objective) -> Generator[Stage, None, nn.Module]:
        """Yield the method's own stages and then one that minimises the sum of all terms."""
        raise NotImplementedError("Wrap a LossMethod in Combination, which has the stages.")


def find_layers(network: nn.Module, lesson: Lesson, looks_at: str) -> list[str]:
    """Return the names of a network's layers of one kind; see `LossMethod.looks_at`."""
    example = lesson.example()
    if looks_at == "embedding":
        return [embedding_layer(network, example)]
    return spatial_layers(network, example, before_activation=looks_at == "preactivation")


class Objective:
    """The loss of one network: cross-entropy to labels, and the terms of methods.

    Parameters
    ----------
    lesson : Lesson
    methods : sequence of LossMethod
    """

    def __init__(self, lesson: Lesson, methods: Sequence[LossMethod] = ()) -> None:
        self._lesson = lesson
        self.methods = list(methods)
        self.label_weight = 1.0
        for method in self.methods:
            self.label_weight *= method.label_weight

    def sampler(self) -> Sampler | None:
        """Return the sampler that a method needs, if any."""
        wanted = [(m.key, s) for m in self.methods if (s := m.sampler(self._lesson)) is not None]
        if len(wanted) > 1:
            keys = " and ".join(repr(key) for key, _ in wanted)
            raise ValueError(
                f"The methods {keys} each need batches of their own kind. Use one of them."
            )
        return wanted[0][1] if wanted else None

    def batches(self) -> Passes:
        """Return the training rows in batches, sampled and distorted as the methods require."""
        wanted = [d for m in self.methods if (d := m.augment(self._lesson)) is not None]
        lesson = replace(self._lesson, augment=wanted[0]) if wanted else self._lesson
        return lesson.batches(self.sampler())

    def prepare(self, network: nn.Module) -> Generator[Stage, None, Task]:
        """Yield the methods' stages before the main one; return the task of the main one."""
        adapters = []
        for method in self.methods:
            adapters.append((yield from method.prepare(self._lesson, network)))
        return Task(self._lesson, network, self.methods, adapters, self.label_weight)

    def task(self, network: nn.Module) -> Task:
        """Return the task of a network whose methods have no stage before the main one.

        Raises
        ------
        ValueError
            If a method has such a stage.
        """
        generator = self.prepare(network)
        try:
            next(generator)
        except StopIteration as end:
            return end.value
        raise ValueError(
            f"{', '.join(repr(m.key) for m in self.methods)} train a stage before the main one and "
            "cannot be combined with a method that trains several networks."
        )


class Task:
    """The loss of one network on a batch, and the adapters trained with it.

    Parameters
    ----------
    lesson : Lesson
    network : nn.Module
    methods : sequence of LossMethod
    adapters : sequence of nn.Module or None
        One for each method.
    label_weight : float
    """

    def __init__(
        self,
        lesson: Lesson,
        network: nn.Module,
        methods: Sequence[LossMethod],
        adapters: Sequence[nn.Module | None],
        label_weight: float,
    ) -> None:
        self._lesson = lesson
        self._network = network
        self._adapters = list(adapters)
        self._label_weight = label_weight
        self._methods = list(methods)
        self._layers = [method.watched(lesson, network) for method in methods]
        self._ours = sorted({name for ours, _ in self._layers for name in ours})
        self._theirs = sorted({name for _, theirs in self._layers for name in theirs})
        self._needs_teacher = any({"teacher", "network"} & method.needs for method in methods)
        if self._ours:
            peek(network, lesson.example(), self._ours)  # raises now if a layer is unknown
        if self._theirs:
            assert lesson.teacher is not None
            there = lesson.teacher.require_network(", ".join(m.key for m in methods))
            peek(there, lesson.example(), self._theirs)

    @property
    def trains(self) -> list[nn.Module]:
        """The network and the adapters that train with it."""
        return [self._network, *(a for a in self._adapters if a is not None)]

    @property
    def predictor(self) -> nn.Module:
        """The module that predicts after training: a method's `predictor`, or the network."""
        for method, adapter in zip(self._methods, self._adapters, strict=True):
            found = method.predictor(self._network, adapter)
            if found is not None:
                return found
        return self._network

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return all terms of a batch."""
        terms, _ = self.with_logits(batch)
        return terms

    def with_logits(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Return all terms of a batch, and the network's logits."""
        student_all = observe(self._network, batch.inputs, self._ours)
        teacher_all = None
        if self._needs_teacher:
            assert self._lesson.teacher is not None
            teacher_all = self._lesson.teacher.observe(batch, self._theirs)
        terms: dict[str, Tensor] = {}
        if self._label_weight:
            terms["labels"] = self._label_weight * self._lesson.label_loss(
                student_all.logits, batch
            )
        for method, adapter, (ours, theirs) in zip(
            self._methods, self._adapters, self._layers, strict=True
        ):
            student = _narrow(student_all, self._ours, ours)
            teacher = None if teacher_all is None else _narrow(teacher_all, self._theirs, theirs)
            step = Step(batch, student, teacher, self._network, self._lesson)
            for name, value in method.terms(step, adapter).items():
                terms[name if name == method.key else f"{method.key} {name}"] = value
        return terms, student_all.logits


def _narrow(seen: Observation, names: list[str], wanted: list[str]) -> Observation:
    features = dict(zip(names, seen.features, strict=True))
    return Observation(seen.logits, tuple(features[name] for name in wanted))


class Combination(Method):
    """Several methods at once: the sum of their terms and of the cross-entropy to the labels.

    Parameters
    ----------
    methods : sequence of Method
        At most one of them may be no `LossMethod`; its objective is then the sum. Without any
        method, the labels alone train the student.
    """

    key = "combination"
    needs = frozenset()

    def __init__(self, methods: Sequence[Method]) -> None:
        self.methods = methods

    def check(self, lesson: Lesson) -> None:
        """Raise ValueError if a method does not suit the lesson, or two exclude each other."""
        leads = self._leads()
        if len(leads) > 1:
            raise ValueError(
                f"The methods {' and '.join(repr(m.key) for m in leads)} each define their own "
                "training and cannot be combined. Use one of them."
            )
        keys = [method.key for method in self.methods]
        if len(set(keys)) < len(keys):
            raise ValueError(f"Each method can be named once. Got {keys}.")
        for method in self.methods:
            method._validate_params()
            method.check(lesson)

    def stages(
        self, lesson: Lesson, objective: Objective | None = None
    ) -> Generator[Stage, None, nn.Module]:
        """Yield the stages of all methods, those before the main one first."""
        losses = [method for method in self.methods if isinstance(method, LossMethod)]
        objective = Objective(lesson, losses)
        leads = self._leads()
        if leads:
            return (yield from leads[0].stages(lesson, objective))
        task = yield from objective.prepare(lesson.student)
        predictor = task.predictor
        yield Stage(
            "+".join(method.key for method in self.methods) or "labels",
            [Player(task.trains, task)],
            batches=objective.batches(),
            selects=[predictor],
        )
        return predictor

    def _leads(self) -> list[Method]:
        return [method for method in self.methods if not isinstance(method, LossMethod)]
