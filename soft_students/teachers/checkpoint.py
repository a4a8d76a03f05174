"""Our own teacher file: networks of the registry with all that is needed to use and judge them.

A file holds one dictionary, written by `torch.save` and read with ``weights_only=True``, made of
tensors, strings, numbers, lists and dictionaries alone:

``format``, ``format_version``
    `FORMAT` and `FORMAT_VERSION`.
``members``
    One entry a network: ``arch``, ``config``, ``input_shape`` and ``state_dict``; ``classes``, the
    labels in the order of its outputs; ``preprocess``, the ``mean`` and ``std`` that standardise
    its input; ``input_range``, least and greatest training value; ``weight`` in the average;
    ``record``.
``average``
    What is averaged over the members: ``"logits"`` or ``"probabilities"``.
``record``
    Of the whole, see `TrainingRecord`: ``accuracy``, ``seed``, ``data``.
``versions``
    Of the libraries that wrote the file; for people, not read back.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score

from soft_students.persistence import atomic_write
from soft_students.persistence.checkpoints import write_torch
from soft_students.teachers.architectures import Network, build
from soft_students.teachers.base import Teacher, TrainingRecord
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.teachers.torch_module import TorchTeacher

FORMAT = "soft-students teacher"
FORMAT_VERSION = 1

#: Values of one input. A file that claims more is damaged or means harm.
_LARGEST_INPUT = 2**24

_LARGEST_NUMBER = int(sys.float_info.max)

_LABEL_TYPES = {bool, int, float, str}

#: Rows a forward pass. On a CPU, the activations of larger batches no longer fit its cache.
PREDICT_BATCH = 256


def record_test_accuracy(teacher: Teacher, X: np.ndarray, y: np.ndarray) -> float:
    """Measure a trained teacher on the test set, once, and note the result for its file.

    Parameters
    ----------
    teacher : Teacher
        From `train_teacher`. Each member of an ensemble is measured too.
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,)

    Returns
    -------
    float
        Fraction of rows whose label the teacher predicts.
    """
    for each in [*_members(teacher), teacher]:
        accuracy = float(accuracy_score(y, each.predict(X)))
        if each.record is None:
            each.record = TrainingRecord()
        each.record.accuracy["test"] = accuracy
    return accuracy


def save_teacher(teacher: Teacher, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write a teacher made by `train_teacher` to a file; whole or not at all.

    Parameters
    ----------
    teacher : Teacher
        One network of the registry or an ensemble of them.
    path : str or path-like
        Usually ending in ``.pt``.
    overwrite : bool, default=True
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError
        If the teacher holds anything else; the message says how to keep such a teacher.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written.
    """
    payload = _payload(teacher)
    with atomic_write(path, overwrite=overwrite) as file:
        write_torch(payload, file)
    return Path(path)


def teacher_from_checkpoint(payload: Mapping[str, Any], device: str = "cpu") -> Teacher:
    """Rebuild the teacher that `save_teacher` wrote.

    Nothing in the payload is trusted: every value is checked before it is used, and networks are
    allocated only once their weights are known to fit.

    Parameters
    ----------
    payload : dict
        What ``torch.load(path, weights_only=True, map_location="cpu")`` returns.
    device : str, default="cpu"

    Returns
    -------
    Teacher

    Raises
    ------
    ValueError
        If the payload is no usable checkpoint; the message says what is wrong with it.
    """
    if not isinstance(payload, Mapping) or payload.get("format") != FORMAT:
        raise ValueError("This is no soft-students teacher: it does not say so in 'format'.")
    format_version = payload.get("format_version")
    if format_version != FORMAT_VERSION or isinstance(format_version, bool):
        newer = isinstance(format_version, int) and format_version > FORMAT_VERSION
        raise ValueError(
            f"This teacher has format version {format_version!r:.80}; this soft-students reads "
            f"version {FORMAT_VERSION}." + (" Upgrade soft-students to read it." if newer else "")
        )
    average = _read(payload, "average", str)
    if average not in ("logits", "probabilities"):
        raise _damaged(f"'average' is {average!r:.80}, not 'logits' or 'probabilities'")
    entries = _read(payload, "members", list)
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _damaged("'members' is not a list of one dictionary or more")
    teacher = combine(
        [_read_member(entry, device) for entry in entries],
        weights=[_read_weight(entry) for entry in entries],
        average=average,
    )
    teacher.record = _read_record(payload)
    return teacher


def combine(
    members: Sequence[Teacher], *, weights: list[float] | None = None, average: str = "logits"
) -> Teacher:
    """Return the one member itself, or an ensemble of several."""
    if len(members) == 1:
        return members[0]
    return EnsembleTeacher(members, weights=weights, average=average)


def plain_labels(classes: np.ndarray | None, n_classes: int) -> list[Any]:
    """Return labels as a file can hold them; counted from 0 where there are none."""
    labels = list(range(n_classes)) if classes is None else np.asarray(classes).tolist()
    if not {type(label) for label in labels} <= _LABEL_TYPES:
        raise TypeError(
            "A teacher's labels must be numbers or strings. Got "
            f"{type(labels[0]).__name__} instead; convert them, for instance with y.astype(str)."
        )
    return labels


def plain_data(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a description of data as a file can hold it."""
    try:
        return json.loads(json.dumps(dict(data or {})))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"The description of a teacher's data must hold plain JSON values alone: {error}"
        ) from error


def _members(teacher: Teacher) -> list[Teacher]:
    return teacher.members if isinstance(teacher, EnsembleTeacher) else [teacher]


def _payload(teacher: Teacher) -> dict[str, Any]:
    members = _members(teacher)
    ensemble = teacher if isinstance(teacher, EnsembleTeacher) else None
    weights = [1.0] if ensemble is None else ensemble.weights.tolist()
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "members": [
            _describe(member) | {"weight": weight}
            for member, weight in zip(members, weights, strict=True)
        ],
        "average": "logits" if ensemble is None else ensemble.average,
        "record": _describe_record(teacher),
        "versions": {"soft-students": version("soft-students"), "torch": str(torch.__version__)},
    }


def _describe(member: Teacher) -> dict[str, Any]:
    member, network, standardize = _check_member(member)
    state = network.state_dict()
    return {
        "arch": network.arch,
        "config": network.config,
        "input_shape": list(network.input_shape),
        "state_dict": {name: tensor.detach().cpu() for name, tensor in state.items()},
        "classes": plain_labels(member.classes_, network.n_classes),
        "preprocess": {"mean": standardize.mean.cpu(), "std": standardize.std.cpu()},
        "input_range": None if member.input_range_ is None else list(member.input_range_),
        "record": _describe_record(member),
    }


def _describe_record(teacher: Teacher) -> dict[str, Any]:
    record = teacher.record or TrainingRecord()
    return {
        "accuracy": dict(record.accuracy),
        "seed": record.seed,
        "data": plain_data(record.data),
    }


def _check_member(member: Teacher) -> tuple[TorchTeacher, Network, Standardize]:
    module = getattr(member, "module", None)
    preprocess = getattr(member, "preprocess", None)
    if not (
        isinstance(member, TorchTeacher)
        and isinstance(module, Network)
        and isinstance(preprocess, Standardize)
    ):
        raise TypeError(
            "save_teacher writes teachers made by train_teacher, and ensembles of them. Got "
            f"{type(module if module is not None else member).__name__} instead; keep it in its "
            "own format, a PyTorch module for instance with torch.export.save, and load that with "
            "load_teacher."
        )
    return member, module, preprocess


def _damaged(what: str) -> ValueError:
    return ValueError(
        f"This teacher file is damaged: {what}. Write it anew, by save_teacher or 'softkd teach'."
    )


def _read(mapping: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    if key not in mapping:
        raise _damaged(f"{key!r} is missing")
    value = mapping[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _damaged(f"{key!r} is of type {type(value).__name__}")
    return value


def _read_number(value: object, what: str) -> float:
    # A whole number may be too large for a float.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not abs(value) <= _LARGEST_NUMBER
    ):
        raise _damaged(f"{what} is {value!r:.80}, not a finite number")
    return float(value)


def _read_classes(entry: Mapping[str, Any]) -> np.ndarray:
    classes = _read(entry, "classes", list)
    kinds = {type(label) for label in classes}
    if len(kinds) != 1 or not kinds <= _LABEL_TYPES:
        raise _damaged("'classes' are not all numbers or all strings")
    labels = np.asarray(classes)
    if labels.ndim != 1 or len(set(classes)) < max(len(classes), 2) or not _finite(labels):
        raise _damaged("'classes' are not two or more different labels")
    return labels


def _finite(labels: np.ndarray) -> bool:
    return labels.dtype.kind != "f" or bool(np.isfinite(labels).all())


def _read_shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    shape = _read(entry, "input_shape", list)
    if not all(type(side) is int and side > 0 for side in shape) or len(shape) not in (1, 3):
        raise _damaged(f"'input_shape' is {shape!r:.200}")
    if math.prod(shape) > _LARGEST_INPUT:
        raise _damaged(f"'input_shape' {shape!r} is too large")
    return tuple(shape)


def _read_range(entry: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = _read(entry, "input_range", (list, type(None)))
    if ends is None:
        return None
    if len(ends) != 2:
        raise _damaged("'input_range' is not a pair of numbers")
    low, high = (_read_number(end, "an end of 'input_range'") for end in ends)
    if low > high:
        raise _damaged(f"'input_range' runs from {low} down to {high}")
    return low, high


def _read_preprocess(entry: Mapping[str, Any], input_shape: tuple[int, ...]) -> Standardize:
    values = _read(entry, "preprocess", dict)
    shape = (input_shape[0], 1, 1) if len(input_shape) == 3 else input_shape
    for key in ("mean", "std"):
        tensor = _read(values, key, torch.Tensor)
        if tensor.dtype != torch.float32 or tuple(tensor.shape) != shape:
            raise _damaged(
                f"'preprocess' has a {key!r} of shape {tuple(tensor.shape)} and {tensor.dtype}, "
                f"not {shape} and torch.float32"
            )
        _check_tensor(tensor, f"{key!r} of 'preprocess'")
    if not bool((values["std"] > 0).all()):
        raise _damaged("'std' of 'preprocess' is not above zero everywhere")
    return Standardize(values["mean"], values["std"])


def _read_record(mapping: Mapping[str, Any]) -> TrainingRecord:
    record = _read(mapping, "record", dict)
    accuracy = _read(record, "accuracy", dict)
    for split, value in accuracy.items():
        if not isinstance(split, str) or not 0 <= _read_number(value, "an accuracy") <= 1:
            raise _damaged(
                f"the accuracy on {split!r:.80} is {value!r:.80}, not in the range [0, 1]"
            )
    try:
        data = plain_data(_read(record, "data", dict))
    except TypeError as error:
        raise _damaged("'data' holds more than plain values") from error
    return TrainingRecord(dict(accuracy), _read(record, "seed", (int, type(None))), data)


def _read_weight(entry: Mapping[str, Any]) -> float:
    weight = _read_number(_read(entry, "weight", (int, float)), "the weight of a member")
    if weight < 0:
        raise _damaged(f"the weight of a member is {weight!r}, below zero")
    return weight


def _read_member(entry: Mapping[str, Any], device: str) -> TorchTeacher:
    classes, input_shape = _read_classes(entry), _read_shape(entry)
    network = _read_network(entry, input_shape, len(classes))
    member = TorchTeacher(
        network,
        classes=classes,
        input_shape=input_shape,
        preprocess=_read_preprocess(entry, input_shape),
        input_range=_read_range(entry),
        name=network.arch,
        device=device,
        batch_size=PREDICT_BATCH,
    )
    member.record = _read_record(entry)
    return member


def _read_network(
    entry: Mapping[str, Any], input_shape: tuple[int, ...], n_classes: int
) -> Network:
    arch, config = _read(entry, "arch", str), _read(entry, "config", dict)
    state = _read(entry, "state_dict", dict)
    # On the meta device nothing is allocated: a configuration may claim any size.
    with torch.device("meta"):
        network = build(arch, input_shape, n_classes, config)
    expected = network.state_dict()
    if set(state) != set(expected):
        odd = sorted(map(str, set(state) ^ set(expected)))[0]
        raise _damaged(f"the weights are not those of its {arch!r}: {odd!r} is missing or extra")
    for name, tensor in state.items():
        want = expected[name]
        if not isinstance(tensor, torch.Tensor) or tensor.dtype != want.dtype:
            raise _damaged(f"weight {name!r} is not a tensor of {want.dtype}")
        if tensor.shape != want.shape:
            raise _damaged(
                f"weight {name!r} has shape {tuple(tensor.shape)}, not {tuple(want.shape)}"
            )
        _check_tensor(tensor, f"weight {name!r}")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise _damaged(f"weight {name!r} holds a negative variance")
    network.load_state_dict(state, assign=True)
    return network.eval()


def _check_tensor(tensor: torch.Tensor, what: str) -> None:
    # A tensor may repeat few stored bytes over a shape without bound.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise _damaged(f"{what} claims more values than are stored")
    if not bool(torch.isfinite(tensor).all()):
        raise _damaged(f"{what} holds NaN or infinite values")
