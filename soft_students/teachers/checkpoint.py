"""The teacher file of `save_teacher`: networks with their labels, preprocessing and record.

A file holds one dictionary, written by `torch.save` and read with ``weights_only=True``. It
contains only tensors, strings, numbers, lists and dictionaries:

``format``, ``format_version``
    `FORMAT` and `FORMAT_VERSION`. Version 1 numbers layers instead of naming them.
``members``
    One entry per network: ``arch``, ``config``, ``input_shape`` and ``state_dict``; ``classes``,
    the labels in the order of its outputs; ``preprocess``, the ``mean`` and ``std`` that
    standardise its input; ``input_range``, smallest and largest training value; ``weight`` in the
    average; ``record``.
``average``
    Output averaged over the members: ``"logits"`` or ``"probabilities"``.
``record``
    `TrainingRecord` of the whole: ``accuracy``, ``seed``, ``data``.
``versions``
    Versions of the libraries that wrote the file, for information only.
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
from soft_students.teachers.base import Teacher, TrainingRecord
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.network import BuiltNetwork
from soft_students.teachers.preprocessing import Standardize
from soft_students.teachers.torch_module import TorchTeacher

FORMAT = "soft-students teacher"
FORMAT_VERSION = 2

#: Upper bound for the values of one input in files; larger numbers are corrupt or malicious.
_LARGEST_INPUT = 2**24

_LARGEST_NUMBER = int(sys.float_info.max)

_LABEL_TYPES = {bool, int, float, str}

#: Rows per forward pass. The activations of larger batches exceed a CPU's cache.
PREDICT_BATCH = 256


def record_test_accuracy(teacher: Teacher, X: np.ndarray, y: np.ndarray) -> float:
    """Measure a trained teacher's accuracy on the test set and store it in its `record`.

    Parameters
    ----------
    teacher : Teacher
        A teacher from `train_teacher`. The members of an ensemble are measured too.
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,)

    Returns
    -------
    float
        Accuracy: fraction of rows with the correct label.
    """
    for each in [*_members(teacher), teacher]:
        accuracy = float(accuracy_score(y, each.predict(X)))
        if each.record is None:
            each.record = TrainingRecord()
        each.record.accuracy["test"] = accuracy
    return accuracy


def save_teacher(teacher: Teacher, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write a teacher from `train_teacher` to a file, atomically.

    Parameters
    ----------
    teacher : Teacher
        A network of `train_teacher` or an ensemble of them.
    path : str or path-like
        Path of the file, usually ending in ``.pt``.
    overwrite : bool, default=True
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError
        If the teacher is of another kind; the message says how to save it.
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
    """Rebuild a teacher from the content of a file of `save_teacher`.

    The payload is untrusted: every value is checked before use, and a network is allocated only
    after its weights were found to fit.

    Parameters
    ----------
    payload : dict
        Result of ``torch.load(path, weights_only=True, map_location="cpu")``.
    device : str, default="cpu"

    Returns
    -------
    Teacher

    Raises
    ------
    ValueError
        If the payload is no valid checkpoint; the message names the fault.
    """
    if not isinstance(payload, Mapping) or payload.get("format") != FORMAT:
        raise ValueError(f"This is no soft-students teacher: its 'format' is not {FORMAT!r}.")
    format_version = payload.get("format_version")
    if type(format_version) is not int or not 1 <= format_version <= FORMAT_VERSION:
        newer = isinstance(format_version, int) and format_version > FORMAT_VERSION
        raise ValueError(
            f"This teacher has format version {format_version!r:.80}; this soft-students reads "
            f"versions 1 to {FORMAT_VERSION}."
            + (" Upgrade soft-students to read it." if newer else "")
        )
    average = _read(payload, "average", str)
    if average not in ("logits", "probabilities"):
        raise _damaged(f"'average' is {average!r:.80}, not 'logits' or 'probabilities'")
    entries = _read(payload, "members", list)
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _damaged("'members' is not a list of at least one dictionary")
    teacher = combine(
        [_read_member(entry, format_version, device) for entry in entries],
        weights=[_read_weight(entry) for entry in entries],
        average=average,
    )
    teacher.record = _read_record(payload)
    return teacher


def combine(
    members: Sequence[Teacher], *, weights: list[float] | None = None, average: str = "logits"
) -> Teacher:
    """Return a single member itself, or an ensemble of several."""
    if len(members) == 1:
        return members[0]
    return EnsembleTeacher(members, weights=weights, average=average)


def plain_labels(classes: np.ndarray | None, n_classes: int) -> list[Any]:
    """Return labels as plain numbers or strings; 0, 1, ... if `classes` is None."""
    labels = list(range(n_classes)) if classes is None else np.asarray(classes).tolist()
    if not {type(label) for label in labels} <= _LABEL_TYPES:
        raise TypeError(
            f"A teacher's labels must be numbers or strings. Got {type(labels[0]).__name__} "
            "instead; convert them, e.g. with y.astype(str)."
        )
    return labels


def plain_data(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of a description of data, in plain JSON values."""
    try:
        return json.loads(json.dumps(dict(data or {})))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"The description of a teacher's data must hold plain JSON values only: {error}"
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


def _check_member(member: Teacher) -> tuple[TorchTeacher, BuiltNetwork, Standardize]:
    module = getattr(member, "module", None)
    preprocess = getattr(member, "preprocess", None)
    if not (
        isinstance(member, TorchTeacher)
        and isinstance(module, BuiltNetwork)
        and isinstance(preprocess, Standardize)
    ):
        raise TypeError(
            "save_teacher writes teachers made by train_teacher, and ensembles of them. Got "
            f"{type(module if module is not None else member).__name__} instead; save it in its "
            "own format, e.g. a PyTorch module with torch.export.save, and load that with "
            "load_teacher."
        )
    return member, module, preprocess


def _damaged(what: str) -> ValueError:
    return ValueError(
        f"This teacher file is damaged: {what}. Write it again, by save_teacher or 'softkd teach'."
    )


def _read(mapping: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    if key not in mapping:
        raise _damaged(f"{key!r} is missing")
    value = mapping[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _damaged(f"{key!r} is of type {type(value).__name__}")
    return value


def _read_number(value: object, what: str) -> float:
    # an integer may be too large for a float
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
        raise _damaged("'classes' are not at least two distinct labels")
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
        raise _damaged("'std' of 'preprocess' is not positive everywhere")
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
        raise _damaged("'data' holds values that JSON lacks") from error
    return TrainingRecord(dict(accuracy), _read(record, "seed", (int, type(None))), data)


def _read_weight(entry: Mapping[str, Any]) -> float:
    weight = _read_number(_read(entry, "weight", (int, float)), "the weight of a member")
    if weight < 0:
        raise _damaged(f"the weight of a member is {weight!r}, which is negative")
    return weight


def _read_member(entry: Mapping[str, Any], format_version: int, device: str) -> TorchTeacher:
    classes, input_shape = _read_classes(entry), _read_shape(entry)
    network = _read_network(entry, format_version, input_shape, len(classes))
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
    entry: Mapping[str, Any], format_version: int, input_shape: tuple[int, ...], n_classes: int
) -> BuiltNetwork:
    arch, config = _read(entry, "arch", str), _read(entry, "config", dict)
    state = _read(entry, "state_dict", dict)
    # the meta device allocates nothing: a configuration may claim any size
    with torch.device("meta"):
        network = BuiltNetwork(arch, input_shape, n_classes, config)
    expected = network.state_dict()
    if format_version == 1 and len(state) == len(expected):
        state = dict(zip(expected, state.values(), strict=True))
    if set(state) != set(expected):
        odd = sorted(map(str, set(state) ^ set(expected)))[0]
        raise _damaged(f"the weights do not fit the arch {arch!r}: {odd!r} is missing or extra")
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
            raise _damaged(f"weight {name!r} contains a negative variance")
    network.load_state_dict(state, assign=True)
    return network.eval()


def _check_tensor(tensor: torch.Tensor, what: str) -> None:
    # strides of zero let a tensor of any shape share a few stored bytes
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise _damaged(f"{what} claims more values than are stored")
    if not bool(torch.isfinite(tensor).all()):
        raise _damaged(f"{what} contains NaN or infinite values")
