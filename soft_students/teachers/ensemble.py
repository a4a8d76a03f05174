"""Several teachers as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from soft_students.teachers.base import Teacher, log_of_probabilities


class EnsembleTeacher(Teacher):
    """The weighted mean of several teachers.

    Parameters
    ----------
    members : sequence of Teacher
        Of the same task and the same classes; the order of classes may differ.
    weights : array-like of shape (n_members,), default=None
        Non-negative; scaled to sum to one. None weighs all alike.
    average : {"logits", "probabilities"}, default="logits"
        What is averaged. Logits give the (normalised) geometric mean of the probabilities.

    Attributes
    ----------
    members : list of Teacher
    weights : ndarray of shape (n_members,)
        They sum to one.

    Raises
    ------
    ValueError
        If members disagree on task, classes or features, or a weight is unusable.
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
        if average not in ("logits", "probabilities"):
            raise ValueError(
                "The 'average' of an ensemble must be 'logits' or 'probabilities'. "
                f"Got {average!r} instead."
            )
        self.average = average
        given = np.ones(len(self.members)) if weights is None else np.asarray(weights, dtype=float)
        if (
            given.shape != (len(self.members),)
            or not np.isfinite(given).all()
            or given.min() < 0
            or given.sum() <= 0
        ):
            raise ValueError(
                f"The 'weights' of an ensemble of {len(self.members)} must be that many numbers "
                f">= 0, not all zero. Got {weights!r} instead."
            )
        self.weights = given / given.sum()
        self.task = self._common("task")
        self.name = f"{len(self.members)} x {self.members[0].name}"
        if len({member.name for member in self.members}) > 1:
            self.name = " + ".join(member.name for member in self.members)
        self.n_features_in_ = self._common("n_features_in_")
        # each member checks the range of its own inputs
        self.classes_ = self._common_classes()

    def _outputs(self, X: Any) -> np.ndarray:
        if self.task == "regression":
            return sum(w * m.predict(X) for w, m in zip(self.weights, self.members, strict=True))
        total: np.ndarray | None = None
        for weight, member in zip(self.weights, self.members, strict=True):
            logits = member.logits(X)
            if total is not None and logits.shape != total.shape:
                raise ValueError(
                    f"The teachers of an ensemble must know the same classes; {member.name!r} has "
                    f"{logits.shape[1]}, {self.members[0].name!r} has {total.shape[1]}."
                )
            if self.classes_ is not None and member.classes_ is not None:
                order = {label: i for i, label in enumerate(np.asarray(member.classes_).tolist())}
                logits = logits[:, [order[label] for label in self.classes_.tolist()]]
            said = softmax(logits, axis=1) if self.average == "probabilities" else logits
            total = weight * said if total is None else total + weight * said
        if total is None:
            raise ValueError("An ensemble needs at least one teacher. Got none.")
        return log_of_probabilities(total) if self.average == "probabilities" else total

    def _common(self, attribute: str) -> Any:
        known = {getattr(member, attribute) for member in self.members} - {None}
        if len(known) > 1:
            said = ", ".join(f"{m.name!r}: {getattr(m, attribute)}" for m in self.members)
            raise ValueError(
                f"The teachers of an ensemble must have the same {attribute.strip('_')}. "
                f"Got {said}."
            )
        return known.pop() if known else None

    def _common_classes(self) -> np.ndarray | None:
        known = [np.asarray(m.classes_) for m in self.members if m.classes_ is not None]
        if not known:
            return None
        for classes in known[1:]:
            if set(classes.tolist()) != set(known[0].tolist()):
                raise ValueError(
                    "The teachers of an ensemble must know the same classes. Got "
                    f"{known[0].tolist()[:10]} and {classes.tolist()[:10]}."
                )
        return known[0]
