"""Conversion of models to teachers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.export import ExportedProgram

from soft_students.teachers.array import ArrayTeacher
from soft_students.teachers.base import Teacher, as_array
from soft_students.teachers.cached import CachedTeacher
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.estimator import EstimatorTeacher
from soft_students.teachers.function import FunctionTeacher
from soft_students.teachers.programs import exported_module
from soft_students.teachers.torch_module import TorchTeacher

# The options of each kind of model; a list passes each of its members those that it takes.
_OPTIONS = {
    "teacher": {"task"},
    "estimator": {"task", "classes", "input_range"},
    "array": {"task", "classes", "kind"},
    "callable": {"task", "classes", "kind", "input_range"},
    "module": {
        "task",
        "classes",
        "kind",
        "input_range",
        "input_shape",
        "preprocess",
        "device",
        "batch_size",
    },
}


def as_teacher(
    model: Any,
    *,
    classes: Any = None,
    kind: str | None = None,
    task: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    preprocess: Callable[[Tensor], Tensor] | Mapping[str, Any] | None = None,
    input_range: tuple[float, float] | None = None,
    weights: Any = None,
    average: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    cache: bool = False,
) -> Teacher:
    """Convert a model to a :class:`Teacher`; a teacher is returned unchanged.

    Parameters
    ----------
    model : object
        A PyTorch module or exported program, a fitted scikit-learn compatible classifier or
        regressor, a callable that maps X to an array, an array of shape (n_samples, n_classes) of
        outputs for one X, or a list of models, which becomes an ensemble.
    classes : array-like of shape (n_classes,), default=None
        Label of each output column. None takes a fitted classifier's own.
    kind : {"logits", "probabilities"}, default=None
        Kind of the outputs of a module, callable or array. None means probabilities for a callable
        or array; for a module, what its outputs look like, see :class:`TorchTeacher`.
    task : {"classification", "regression"}, default=None
        Task of a module, callable or array; other models define their own. None means
        classification.
    input_shape : tuple of int, default=None
        Shape of one input of a module, to which rows are reshaped.
    preprocess : callable, nn.Module or dict, default=None
        Applied to the inputs of a module, as tensors. A dictionary of ``mean`` and ``std``
        standardises.
    input_range : tuple of float, default=None
        Smallest and largest value of the training data; inputs far outside give a warning.
    weights : array-like of shape (n_models,), default=None
        Weights of the members of a list. None weights them equally.
    average : {"logits", "probabilities"}, default=None
        Outputs that an ensemble averages. None means logits.
    device : str, default=None
        Device to which modules are moved. None does not move them.
    batch_size : int, default=None
        Rows per forward pass of a module; None means 1024. With `cache`, rows per call.
    cache : bool, default=False
        Whether to cache the output for each distinct row in memory, for a service that costs money
        or time; see :class:`CachedTeacher`.

    Returns
    -------
    Teacher

    Raises
    ------
    TypeError
        If the kind of the model is not supported.
    ValueError
        If an array is not of the given `kind`, members of a list do not fit each other, or an
        option does not apply to the model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students import as_teacher
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = as_teacher(LogisticRegression(max_iter=500).fit(X, y))
    >>> teacher.predict_proba(X[:1], temperature=5.0).round(2)
    array([[0.68, 0.31, 0.02]])
    """
    if cache:
        is_module = isinstance(model, nn.Module | ExportedProgram)
        teacher = as_teacher(
            model,
            classes=classes,
            kind=kind,
            task=task,
            input_shape=input_shape,
            preprocess=preprocess,
            input_range=input_range,
            weights=weights,
            average=average,
            device=device,
            batch_size=batch_size if is_module else None,
        )
        return CachedTeacher(teacher, batch_size=None if is_module else batch_size)
    given = {
        "task": task,
        "classes": classes,
        "kind": kind,
        "input_range": input_range,
        "input_shape": input_shape,
        "preprocess": preprocess,
        "device": device,
        "batch_size": batch_size,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if isinstance(model, (list, tuple)) and any(_is_model(member) for member in model):
        kinds = [_kind_of(member) for member in model]
        _check_options("list of such models", options, set().union(*(_OPTIONS[k] for k in kinds)))
        members = [
            as_teacher(member, **{name: options[name] for name in options.keys() & _OPTIONS[k]})
            for member, k in zip(model, kinds, strict=True)
        ]
        return EnsembleTeacher(members, weights=weights, average=average or "logits")
    kind_of_model = _kind_of(model)
    given_to_lists = {"weights": weights, "average": average}
    options |= {name: value for name, value in given_to_lists.items() if value is not None}
    _check_options(kind_of_model, options, _OPTIONS[kind_of_model])
    if kind_of_model == "teacher":
        return model
    if kind_of_model == "estimator":
        return EstimatorTeacher(model, classes=classes, input_range=input_range)
    task = task or "classification"
    if kind_of_model == "module":
        return TorchTeacher(
            exported_module(model) if isinstance(model, ExportedProgram) else model,
            classes=classes,
            input_shape=input_shape,
            preprocess=preprocess,
            input_range=input_range,
            kind=kind,
            task=task,
            device=device,
            batch_size=1024 if batch_size is None else batch_size,
        )
    kind = kind or "probabilities"
    if kind_of_model == "callable":
        return FunctionTeacher(
            model, kind=kind, task=task, classes=classes, input_range=input_range
        )
    return ArrayTeacher(model, kind=kind, task=task, classes=classes)


def _kind_of(model: Any) -> str:
    if isinstance(model, Teacher):
        return "teacher"
    if isinstance(model, (nn.Module, ExportedProgram)):
        return "module"
    if isinstance(model, type):
        raise TypeError(
            f"A teacher must be a fitted model, not the class {model.__name__}. Fit an instance."
        )
    if hasattr(model, "predict_proba"):
        return "estimator"
    if hasattr(model, "predict"):
        # a network of Keras has fit and predict as well, and its predict gives probabilities
        if not isinstance(model, BaseEstimator):
            raise TypeError(_how_to_wrap(model))
        return "estimator"
    if callable(model):
        return "callable"
    is_array = hasattr(model, "__array__") or isinstance(model, (list, tuple))
    if is_array and as_array(model).dtype.kind in "fiub":
        return "array"
    raise TypeError(_how_to_wrap(model))


def _how_to_wrap(model: Any) -> str:
    """Return why an object is no teacher, and the code that makes it one."""
    kind = type(model).__name__
    module = type(model).__module__.partition(".")[0]
    if isinstance(model, str | os.PathLike):
        return (
            f"A teacher must be a model, not a path. Read it from its file first: "
            f"soft_students.teachers.load_teacher({os.fspath(model)!r})."
        )
    if hasattr(model, "dataset") and hasattr(model, "batch_size"):
        return (
            f"A teacher must be a model, and a {kind} holds rows. Read its arrays first: X, y = "
            "map(torch.cat, zip(*loader)); then call fit(X, teacher, labels=y)."
        )
    if hasattr(model, "predict"):
        rows = "xgboost.DMatrix(X)" if module == "xgboost" else "X"
        return (
            f"A teacher needs predict_proba, which {kind} lacks. If its predict returns "
            f"probabilities, pass it as a function: as_teacher(lambda X: model.predict({rows}))."
        )
    return (
        "A teacher must be a PyTorch module, a fitted classifier or regressor, a callable, an "
        f"array of shape (n_samples, n_classes) or a list of models. Got {kind}. To read a teacher "
        "from a file, use soft_students.teachers.load_teacher(path)."
    )


def _is_model(member: Any) -> bool:
    return (
        isinstance(member, (Teacher, nn.Module, ExportedProgram))
        or hasattr(member, "predict")
        or callable(member)
    )


def _check_options(kind_of_model: str, options: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(options.keys() - known)
    if unknown:
        raise ValueError(
            f"as_teacher got {', '.join(map(repr, unknown))}, which does not apply to a model of "
            f"the kind {kind_of_model!r}. Available: {', '.join(map(repr, sorted(known)))}."
        )
