"""Labelled parts as the training rows of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.base import BaseEstimator
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_array

from soft_students.labelled.parts import LabelledParts
from soft_students.labelled.windows import LabelledRows, ShuffledParts, joined
from soft_students.methods import Batch, Combination, TrainingData
from soft_students.students.neural.rows import as_training_data
from soft_students.students.part_supervision import PartSupervision, check_only_parts
from soft_students.targets import soften
from soft_students.teachers import ArrayTeacher, Teacher, TorchTeacher, as_teacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.training.batch import share_of

_SHOWN = 64  # rows for shapes, and for the comparison of a teacher with the parts
_SAME = 0.01  # bound for the difference of one teacher's probabilities on two devices


class StreamedParts:
    """The `StreamedData` of labelled parts; each process reads all and keeps its share.

    Parameters
    ----------
    parts : LabelledParts
    input_shape : tuple of int
    held_out_fraction : float
        Share of held-out rows, on which the epoch is chosen; at most one window.
    seed : int
        Seed of the held-out rows.
    labels : bool
        Whether to read the true labels.
    """

    def __init__(
        self,
        parts: LabelledParts,
        input_shape: tuple[int, ...],
        *,
        held_out_fraction: float,
        seed: int,
        labels: bool,
    ) -> None:
        self._supervision = PartSupervision.of(parts)
        self._input_shape = input_shape
        # the floor that teachers use for probabilities: a loss of 0 * -inf would be NaN
        smallest = float(np.log(np.finfo(np.float32).tiny))
        self._floor = -math.inf if parts.kind == "logits" else smallest * (parts.temperature or 1)
        self._shuffled = ShuffledParts(
            parts,
            held_out_fraction=held_out_fraction,
            seed=seed,
            labels=labels,
        )
        shown = next(parts[0].batches(_SHOWN))[0]
        self._shown = as_training_data(shown, None, input_shape)

    def __len__(self) -> int:
        return self._shuffled.n_rows

    def n_batches(self, batch_size: int) -> int:
        """Return the number of batches in a pass."""
        return self._plan(batch_size)[1]

    def read(
        self, batch_size: int, generator: torch.Generator, share: tuple[int, int]
    ) -> Iterator[Batch]:
        """Yield a process's share of each batch in one pass, on the CPU."""
        size, n_batches = self._plan(batch_size)
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        batches = self._shuffled.batches(size, RandomState(seed))
        for _ in range(n_batches - 1):
            yield self._batch(next(batches), share)
        yield self._batch(joined(list(batches)), share)

    def example(self, n: int) -> torch.Tensor:
        """Return a few inputs."""
        return self._shown.example(n)

    def fingerprint(self) -> str:
        """Return a digest that identifies the rows and their targets."""
        return self._shuffled.fingerprint()

    def measure(self) -> tuple[Standardize, tuple[float, float]]:
        """Return the standardisation and the range of the inputs, in one pass over the rows.

        Raises
        ------
        ValueError
            If a value is missing or infinite, an output of the teacher is invalid, or a label is
            none of its classes.
        """
        scaler: Any = StandardScaler()
        extent: Any = MinMaxScaler()
        for rows in self._shuffled.pieces():
            X = check_array(rows.X, dtype=np.float32, input_name="X of the labelled parts")
            scaler.partial_fit(X)
            extent.partial_fit(X)
            self._supervision.of_classes(rows)
        standardize = Standardize.from_moments(scaler.mean_, scaler.var_, self._input_shape)
        return standardize, (float(extent.data_min_.min()), float(extent.data_max_.max()))

    def held_out(self) -> TrainingData | None:
        """Return the held-out rows; without labels, with the teacher's predicted classes."""
        rows = self._shuffled.held_out()
        if not len(rows):
            return None
        said = self._supervision.of_classes(rows)
        assert said.logits is not None
        codes = said.logits.argmax(axis=1) if said.labels is None else said.labels
        return as_training_data(rows.X, codes, self._input_shape)

    def _plan(self, batch_size: int) -> tuple[int, int]:
        """Return the size and number of batches; the last may be half as large again.

        This avoids a last batch of a single row, on which batch normalisation fails.
        """
        n_rows = len(self)
        size = math.ceil(n_rows / math.ceil(n_rows / batch_size))
        whole, rest = divmod(n_rows, size)
        return size, max(1, whole + (2 * rest > size))

    def _batch(self, rows: LabelledRows, share: tuple[int, int]) -> Batch:
        mine, weight = share_of(torch.arange(len(rows)), share)
        rows = rows.take(mine.numpy())
        said = self._supervision.of_classes(rows)
        assert said.logits is not None
        data = as_training_data(rows.X, said.labels, self._input_shape)
        return Batch(
            data.inputs,
            data.labels,
            None,
            teacher_logits=torch.from_numpy(np.maximum(said.logits, self._floor)).float(),
            weight=weight,
        )


class AbsentTeacher(Teacher):
    """The teacher of labelled parts, known only by its outputs there.

    Parameters
    ----------
    parts : LabelledParts
    """

    def __init__(self, parts: LabelledParts) -> None:
        super().__init__(name=parts.teacher, classes=parts.classes, n_features=parts.n_features)

    def _outputs(self, X: Any) -> np.ndarray:
        raise ValueError(
            f"The outputs of the teacher {self.name!r} are available for the rows of the labelled "
            "parts only. Pass it as well: fit(parts, teacher)."
        )


def teacher_of(student: BaseEstimator, parts: LabelledParts, y: Any, teacher: Any) -> Teacher:
    """Return the teacher passed with the parts, or an `AbsentTeacher`.

    Parameters
    ----------
    student : estimator
        Student, for messages.
    parts : LabelledParts
    y, teacher : object
        Arguments of `fit`.

    Raises
    ------
    ValueError
        If the argument is no teacher, or its outputs differ from those in the parts.
    """
    if teacher is not None:
        check_only_parts(student, y=y)
    given = y if teacher is None else teacher
    if given is None:
        return AbsentTeacher(parts)
    one = given[0] if isinstance(given, (list, tuple)) and given else given
    if isinstance(one, ArrayTeacher) or not (
        isinstance(one, Teacher) or hasattr(one, "predict") or callable(one)
    ):
        check_only_parts(student, y=given)
    known = as_teacher(given)
    X, targets = next(parts[0].batches(_SHOWN))
    rows = LabelledRows(X, targets, None)
    said, now = PartSupervision.of(parts).of_classes(rows).logits, known.logits(X)
    assert said is not None
    if now.shape != said.shape or np.abs(soften(now, 1.0) - soften(said, 1.0)).max() > _SAME:
        raise ValueError(
            f"The outputs of the teacher {known!r} differ from those of {parts.teacher!r}, which "
            "labelled the parts. Pass that teacher, or the parts alone."
        )
    return known


def check_methods(student: BaseEstimator, method: Combination, teacher: Teacher) -> None:
    """Raise ValueError for methods and distortions that labelled parts do not support.

    Parameters
    ----------
    student : estimator
        Student with the parameter `augment`.
    method : Combination
    teacher : Teacher
        Result of `teacher_of`.

    Raises
    ------
    ValueError
        If a method or `augment` needs more than the parts contain.
    """
    augment = student.get_params(deep=False)["augment"]
    if augment is not None and isinstance(teacher, AbsentTeacher):
        raise ValueError(
            f"augment={augment!r} distorts rows, whose teacher outputs are not in the labelled "
            "parts. Pass the teacher as well: fit(parts, teacher); or set augment=None."
        )
    for part in method.methods:
        if "data" not in part.needs:
            raise ValueError(
                f"The method {part.key!r} makes its own rows and does not use labelled "
                "parts. Call fit(None, teacher), or use another method."
            )
        if part.needs_all_rows:
            raise ValueError(
                f"The method {part.key!r} needs all training rows in memory, but labelled parts "
                "are read a window at a time. Use another method, such as 'kd', or pass fewer "
                "rows as X."
            )
        if "network" in part.needs and not isinstance(teacher, TorchTeacher):
            raise ValueError(
                f"The method {part.key!r} uses the layers of the teacher, but labelled parts "
                "contain only its outputs. Pass the teacher, a PyTorch module, as well: "
                "fit(parts, teacher); or use a method that needs soft targets alone, such as 'kd'."
            )
