"""Anything that can teach, as a Teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator
from torch import Tensor, nn

from soft_students.teachers.array import ArrayTeacher
from soft_students.teachers.base import Teacher
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.estimator import EstimatorTeacher
from soft_students.teachers.function import FunctionTeacher
from soft_students.teachers.torch_module import TorchTeacher


def as_teacher(
    model: Any,
    *,
    classes: Any = None,
    kind: str | None = None,
    task: str = "classification",
    input_shape: tuple[int, ...] | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    input_range: tuple[float, float] | None = None,
    weights: Any = None,
    average: str = "logits",
    device: str = "cpu",
    batch_size: int = 1024,
) -> Teacher:
    """Return a model as a :class:`Teacher`; a teacher is returned as it is.

    Parameters
    ----------
    model : object
        A PyTorch module, a fitted scikit-learn compatible classifier or regressor, a callable
        that maps X to an array, an array of shape (n_samples, n_classes) of answers for one X,
        or a list of models, which becomes an ensemble.
    classes : array-like of shape (n_classes,), default=None
        Label of each output column. A fitted classifier knows its own.
    kind : {"logits", "probabilities"}, default=None
        What a module, callable or array gives. None stands for logits of a module and for
        probabilities of a callable or array.
    task : {"classification", "regression"}, default="classification"
        Of a module or callable.
    input_shape : tuple of int, default=None
        Of one input of a module, to which rows are reshaped.
    preprocess : callable, default=None
        Applied to the inputs of a module, as tensors.
    input_range : tuple of float, default=None
        Smallest and largest value of the training data; inputs far outside give a warning.
    weights : array-like of shape (n_models,), default=None
        Of the members of a list.
    average : {"logits", "probabilities"}, default="logits"
        What an ensemble averages.
    device : str, default="cpu"
        Of modules.
    batch_size : int, default=1024
        Rows a forward pass of a module.

    Returns
    -------
    Teacher

    Raises
    ------
    TypeError
        If the model is of no known kind.
    ValueError
        If an array is not what `kind` says, or members of a list do not fit each other.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from soft_students import as_teacher
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = as_teacher(LogisticRegression(max_iter=500).fit(X, y))
    >>> teacher.predict_proba(X[:1], temperature=5.0).round(2)
    array([[0.61, 0.35, 0.04]])
    """
    if kind not in (None, "logits", "probabilities"):
        raise ValueError(
            f"The 'kind' of a teacher must be 'logits' or 'probabilities'. Got {kind!r} instead."
        )
    if isinstance(model, Teacher):
        return model
    if isinstance(model, nn.Module):
        return TorchTeacher(
            model,
            classes=classes,
            input_shape=input_shape,
            preprocess=preprocess,
            input_range=input_range,
            kind=kind or "logits",
            task=task,
            device=device,
            batch_size=batch_size,
        )
    if isinstance(model, type):
        raise TypeError(
            f"A teacher must be a fitted model, not the class {model.__name__}. Fit an instance."
        )
    if isinstance(model, BaseEstimator) or (hasattr(model, "predict") and hasattr(model, "fit")):
        return EstimatorTeacher(model, input_range=input_range)
    if isinstance(model, (list, tuple)) and any(_is_model(member) for member in model):
        members = [
            as_teacher(
                member,
                classes=classes,
                kind=kind,
                task=task,
                input_shape=input_shape,
                preprocess=preprocess,
                input_range=input_range,
                device=device,
                batch_size=batch_size,
            )
            for member in model
        ]
        return EnsembleTeacher(members, weights=weights, average=average)
    if callable(model):
        return FunctionTeacher(
            model,
            kind=kind or "probabilities",
            task=task,
            classes=classes,
            input_range=input_range,
        )
    if hasattr(model, "__array__") or isinstance(model, (list, tuple)):
        return ArrayTeacher(model, kind=kind or "probabilities", classes=classes)
    raise TypeError(
        "A teacher must be a PyTorch module, a fitted classifier or regressor, a callable, an "
        f"array of shape (n_samples, n_classes) or a list of models. Got {type(model).__name__}. "
        "To read a teacher from a file, use soft_students.teachers.load_teacher(path)."
    )


def _is_model(member: Any) -> bool:
    return (
        isinstance(member, (Teacher, nn.Module)) or hasattr(member, "predict") or callable(member)
    )
