"""Ensembles of teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from soft_students.columns import columns_of
from soft_students.targets import soften
from soft_students.teachers.base import Teacher


class EnsembleTeacher(Teacher):
    """The weighted mean of several teachers.

    Parameters
    ----------
    members : sequence of Teacher
        Teachers with the same task and the same classes, in any order. A member without `classes_`
        has the order of the first that has them.
    weights : array-like of shape (n_members,), default=None
        Non-negative weights, scaled to sum to one. None weights all equally.
    average : {"logits", "probabilities"}, default="logits"
        Outputs to average. The mean of logits gives the normalised geometric mean of the
        probabilities, in which a class excluded by one member is excluded.

    Attributes
    ----------
    members : list of Teacher
    weights : ndarray of shape (n_members,)
        Weights, which sum to one.
    average : str

    Raises
    ------
    TypeError
        If a member is no teacher.
    ValueError
        If members differ in task, classes or features (their number, names or order), or a weight
        is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.teachers import EnsembleTeacher, as_teacher
    >>> sure, unsure = as_teacher(np.array([[0.9, 0.1]])), as_teacher(np.array([[0.5, 0.5]]))
    >>> teacher = EnsembleTeacher([sure, unsure], weights=[3, 1], average="probabilities")
    >>> teacher.predict_proba([[0.0]])
    array([[0.8, 0.2]])
    """

    def __init__(
        self,
        members: Sequence[Teacher],
        *,
        weights: Any = None,
        average: str = "logits",
    ) -> None:
        self.members = list(members)
        if not self.members:
            raise ValueError("An ensemble needs at least one teacher. Got none.")
        for member in self.members:
            if not isinstance(member, Teacher):
                raise TypeError(
                    f"The members of an ensemble must be teachers. Got {type(member).__name__} "
                    "instead; as_teacher([...]) converts models."
                )
        if average not in ("logits", "probabilities"):
            raise ValueError(
                "The 'average' of an ensemble must be 'logits' or 'probabilities'. "
                f"Got {average!r} instead."
            )
        self.average = average
        self.weights = _check_weights(weights, len(self.members))
        names = [member.name for member in self.members]
        alike = len(set(names)) == 1
        super().__init__(
            name=f"{len(names)} x {names[0]}" if alike else " + ".join(names),
            task=self._common("task"),
            classes=self._common_classes(),
            n_features=self._common("n_features_in_"),
        )
        ranges = {member.input_range_ for member in self.members}
        self.input_range_ = ranges.pop() if len(ranges) == 1 else None
        self.may_cost = any(member.may_cost for member in self.members)
        columns_of(self)  # refuses members that disagree

    @property
    def feature_names_in_(self) -> list[str] | None:
        """Names of the features of the members that know theirs, in their order."""
        known = [columns for columns in map(columns_of, self.members) if columns is not None]
        for columns in known[1:]:
            if columns != known[0]:
                raise ValueError(
                    "The teachers of an ensemble must have learnt from the same columns, in the "
                    f"same order. Got {known[0][:10]} and {columns[:10]}."
                )
        return known[0] if known else None

    def _check_inputs(self, X: Any) -> None:
        for member in self.members:
            member._check_inputs(X)

    def _range_complaint(self, X: Any) -> str | None:
        # one warning per call, from the first member that warns
        if self.input_range_ is not None:
            return super()._range_complaint(X)
        complaints = (member._range_complaint(X) for member in self.members)
        return next((complaint for complaint in complaints if complaint), None)

    def _outputs(self, X: Any) -> np.ndarray:
        total: np.ndarray | None = None
        for member, weight in zip(self.members, self.weights, strict=True):
            if weight == 0:
                continue
            outputs = self._aligned(member, X)
            if total is None:
                total, first = weight * outputs, member
            elif outputs.shape == total.shape:
                total += weight * outputs
            else:
                raise ValueError(
                    "The teachers of an ensemble must return arrays of the same shape. "
                    f"{first.name!r} returned {total.shape}, {member.name!r} {outputs.shape}."
                )
        if total is None:
            raise ValueError("All weights of this ensemble are zero.")
        if self.task == "classification" and self.average == "probabilities":
            return np.log(np.maximum(total, np.finfo(np.float64).tiny))
        return total

    def _aligned(self, member: Teacher, X: Any) -> np.ndarray:
        """Return a member's outputs to average, columns in the order of `classes_`."""
        if self.task == "regression":
            return member._values(X).astype(np.float64)
        logits = member._logits(X).astype(np.float64)
        own = self._output_classes
        if own is not None and member.classes_ is not None:
            order = {label: column for column, label in enumerate(member.classes_.tolist())}
            logits = logits[:, [order[label] for label in own.tolist()]]
        return logits if self.average == "logits" else soften(logits)

    def _common(self, attribute: str) -> Any:
        values = [getattr(member, attribute) for member in self.members]
        known = set(values) - {None}
        if len(known) > 1:
            got = ", ".join(
                f"{m.name!r}: {value}" for m, value in zip(self.members, values, strict=True)
            )
            raise ValueError(
                f"The teachers of an ensemble must have the same {attribute.strip('_')}. Got {got}."
            )
        return known.pop() if known else None

    def _common_classes(self) -> np.ndarray | None:
        known = [member.classes_ for member in self.members if member.classes_ is not None]
        for classes in known[1:]:
            if set(classes.tolist()) != set(known[0].tolist()):
                raise ValueError(
                    "The teachers of an ensemble must have the same classes. Got "
                    f"{known[0].tolist()[:10]} and {classes.tolist()[:10]}."
                )
        return known[0] if known else None


def _check_weights(weights: Any, n_members: int) -> np.ndarray:
    given = np.ones(n_members) if weights is None else np.asarray(weights, dtype=np.float64)
    if (
        given.shape != (n_members,)
        or not np.isfinite(given).all()
        or given.min() < 0
        or given.sum() <= 0
    ):
        raise ValueError(
            f"The 'weights' of an ensemble of {n_members} must be {n_members} numbers >= 0, not "
            f"all zero. Got {weights!r} instead."
        )
    return given / given.sum()
