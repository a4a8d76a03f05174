"""Selection of a neural student's methods from its parameters."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from soft_students.methods import KD, Combination, make_method


def choose_method(student: BaseEstimator, **resolved: float) -> Combination:
    """Return the methods given by a student's parameters.

    The student's `temperature` and `hard_weight` apply to its method ``"kd"``, unless an instance
    or `method_params` set them.

    Parameters
    ----------
    student : NeuralStudentClassifier
    **resolved : float
        Values that replace ``"auto"``.

    Raises
    ------
    ValueError
        If a key or a parameter is unknown, or the student's temperature or hard weight would have
        no effect.
    """
    given = {"temperature": student.temperature, "hard_weight": student.hard_weight}
    used = given | resolved
    method = make_method(student.method, student.method_params, {"kd": used})
    kd = soft_targets(method)
    for name, value in given.items():
        if value == KD().get_params()[name]:
            continue
        if kd is None:
            raise ValueError(_without_kd(method, name, value))
        if getattr(kd, name) != used[name]:
            raise ValueError(
                f"{name}={value!r} contradicts {name}={getattr(kd, name)!r} in method or "
                "method_params. Set it in one place."
            )
    return method


def soft_targets(method: Combination) -> KD | None:
    """Return the method ``"kd"`` of a combination; None if it has none."""
    return next((part for part in method.methods if isinstance(part, KD)), None)


def _without_kd(method: Combination, name: str, value: Any) -> str:
    keys = [part.key for part in method.methods]
    problem = (
        f"{name}={value!r} is a setting of the method 'kd', which is not among "
        f"{', '.join(map(repr, keys))}."
    )
    for part in method.methods:
        if name in part.get_params(deep=False):
            return f"{problem} Set method_params={{'{part.key}.{name}': ...}} instead."
    return f"{problem} Leave it out, or add 'kd'."
