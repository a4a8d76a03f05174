"""Students and transfer sets as options describe them, before they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click
import torch
from sklearn.base import BaseEstimator

from soft_students.choices import did_you_mean
from soft_students.datasets import Dataset
from soft_students.students.registry import get_student
from soft_students.threads import torch_threads


def class_for(student: str, task: str) -> type[BaseEstimator]:
    """Return the class of a student that learns a task; a student without one is bad usage."""
    entry = get_student(student)
    cls = entry.regressor if task == "regression" else entry.classifier
    if cls is None:
        raise click.UsageError(f"The student {student!r} has no part for {task}.")
    return cls


def image_settings(student: str, dataset: Dataset, n_rows: int) -> dict[str, Any]:
    """Return the parameters of a student that suit the images of a data set; none for tables."""
    if dataset.image_shape is None:
        return {}
    return get_student(student).image_settings(dataset.image_shape, n_rows)


def configured(
    cls: type[BaseEstimator], presets: Mapping[str, Any], chosen: Iterable[tuple[str, Any]]
) -> Any:
    """Return a student or transfer set with the user's parameters.

    Parameters
    ----------
    cls : type
    presets : dict
        Parameters that the user did not ask for; those that the class does not have are left out,
        and so are those of soft targets if the user's methods do without.
    chosen : iterable of (str, object)
        The user's parameters, by name.

    Raises
    ------
    click.UsageError
        If the class lacks a parameter or refuses a value.
    """
    known = sorted(cls().get_params(deep=False))
    chosen = list(chosen)
    unused = _without_soft_targets(dict(chosen).get("method"))
    parameters = {n: value for n, value in presets.items() if n in known and n not in unused}
    for name, value in chosen:
        if "." in name and "method_params" in known:
            parameters["method_params"] = {**(parameters.get("method_params") or {}), name: value}
            continue
        if name not in known:
            raise click.UsageError(
                f"{cls.__name__} has no parameter {name!r}.{did_you_mean(known, name)} It has: "
                f"{', '.join(known)}."
            )
        parameters[name] = value
    made = cls(**parameters)
    try:
        made._validate_params()
        if "method_params" in known:
            _check_methods(made)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return made


def _without_soft_targets(method: Any) -> tuple[str, ...]:
    """Return the parameters of a neural student that have no effect with the user's methods."""
    if not isinstance(method, str) or "kd" in [key.strip() for key in method.split(",")]:
        return ()
    return ("temperature", "hard_weight")


def _check_methods(student: Any) -> None:
    """Raise ValueError if a method does not exist, or a parameter is unknown or has no effect."""
    from soft_students.students.neural.method_choice import choose_method

    choose_method(student)


def use_threads(threads: int | None) -> int:
    """Set torch's threads while the command runs; return how many torch uses."""
    if threads is None:
        return torch.get_num_threads()
    click.get_current_context().with_resource(torch_threads(threads))
    return threads
