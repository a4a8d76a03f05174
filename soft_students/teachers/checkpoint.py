"""Our own teacher file: networks of the registry with all that is needed to use and judge them.

A file holds one dictionary, written by `torch.save` and read with ``weights_only=True``, made of
tensors, strings, numbers, lists and dictionaries alone:

``format``, ``format_version``
    `FORMAT` and `FORMAT_VERSION`.
``members``
    One entry a network: ``arch``, ``config``, ``state_dict``, ``weight`` in the average, ``seed``
    and ``accuracy``.
``average``
    What is averaged over the members: ``"logits"`` or ``"probabilities"``.
``classes``
    Labels in the order of the outputs.
``input_shape``, ``preprocess``, ``input_range``
    Shape of one input, ``mean`` and ``std`` to standardise it, least and greatest training value.
``data``, ``accuracy``
    What it was trained on, and the measured accuracy by name of the split.
``versions``
    Of the libraries that wrote the file; for people, not read back.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score

from soft_students.persistence import atomic_write
from soft_students.teachers.architectures import Network, build
from soft_students.teachers.base import Teacher
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.teachers.torch_module import TorchTeacher

FORMAT = "soft-students teacher"
FORMAT_VERSION = 1

#: Values of one input. A file that claims more is damaged or means harm.
_LARGEST_INPUT = 2**24

_LABEL_TYPES = {bool, int, float, str}

#: Rows a forward pass. On a CPU, the activations of larger batches no longer fit its cache.
PREDICT_BATCH = 256


@dataclass
class TrainingRecord:
    """What is known of how a teacher came to be; the attribute `record` of a trained teacher.

    Parameters
    ----------
    accuracy : dict of str to float
        Measured accuracy by name of the split: "validation", "test".
    seed : int or None
        Of a single network.
    data : dict
        What it was trained on, of plain JSON values: name, source, numbers of rows, and so on.
    """

    accuracy: dict[str, float] = field(default_factory=dict)
    seed: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


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
        record_of(each).accuracy["test"] = accuracy
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
        torch.save(payload, file)
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
            f"This teacher has format version {format_version!r}; this soft-students reads "
            f"version {FORMAT_VERSION}." + (" Upgrade soft-students to read it." if newer else "")
        )
    classes = _read_classes(payload)
    input_shape = _read_shape(payload)
    standardize = _read_preprocess(payload, input_shape)
    input_range = _read_range(payload)
    average = _read(payload, "average", str)
    if average not in ("logits", "probabilities"):
        raise _damaged(f"'average' is {average!r}, not 'logits' or 'probabilities'")
    entries = _read(payload, "members", list)
    if not entries:
        raise _damaged("'members' is empty")
    members, weights = [], []
    for entry in entries:
        if not isinstance(entry, dict):
            raise _damaged("a member is not a dictionary")
        network = _read_network(entry, input_shape, len(classes))
        member = TorchTeacher(
            network,
            classes=classes,
            input_shape=input_shape,
            preprocess=standardize,
            input_range=input_range,
            name=network.arch,
            device=device,
            batch_size=PREDICT_BATCH,
        )
        seed = _read(entry, "seed", (int, type(None)))
        member.record = TrainingRecord(_read_accuracy(entry), seed)
        members.append(member)
        weights.append(_read_weight(entry))
    accuracy, data = _read_accuracy(payload), plain_data(_read(payload, "data", dict))
    return combine(members, accuracy=accuracy, data=data, weights=weights, average=average)


def combine(
    members: list[TorchTeacher],
    *,
    accuracy: dict[str, float],
    data: dict[str, Any],
    weights: list[float] | None = None,
    average: str = "logits",
) -> Teacher:
    """Return the one member itself, or an ensemble; with the record of the whole."""
    if len(members) == 1:
        seed = record_of(members[0]).seed
        members[0].record = TrainingRecord(accuracy, seed, data)
        return members[0]
    ensemble = EnsembleTeacher(members, weights=weights, average=average)
    ensemble.record = TrainingRecord(accuracy, None, data)
    return ensemble


def record_of(teacher: Teacher) -> TrainingRecord:
    """Return what is known of the teacher's training: an empty record if nothing is."""
    return getattr(teacher, "record", None) or TrainingRecord()


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
    return list(teacher.members) if isinstance(teacher, EnsembleTeacher) else [teacher]


def _payload(teacher: Teacher) -> dict[str, Any]:
    members = [_check_member(member) for member in _members(teacher)]
    ensemble = teacher if isinstance(teacher, EnsembleTeacher) else None
    weights = [1.0] * len(members) if ensemble is None else [float(w) for w in ensemble.weights]
    first, network, standardize = members[0]
    record = record_of(teacher)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "members": [
            {
                "arch": network.arch,
                "config": network.config,
                "state_dict": {
                    name: tensor.detach().cpu() for name, tensor in network.state_dict().items()
                },
                "weight": weight,
                "seed": record_of(member).seed,
                "accuracy": dict(record_of(member).accuracy),
            }
            for (member, network, _), weight in zip(members, weights, strict=True)
        ],
        "average": "logits" if ensemble is None else ensemble.average,
        "classes": plain_labels(first.classes_, network.n_classes),
        "input_shape": list(network.input_shape),
        "preprocess": {"mean": standardize.mean, "std": standardize.std},
        "input_range": None if first.input_range_ is None else list(first.input_range_),
        "data": plain_data(record.data),
        "accuracy": dict(record.accuracy),
        "versions": {"soft-students": version("soft-students"), "torch": str(torch.__version__)},
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _damaged(f"{what} is {value!r}, not a finite number")
    return float(value)


def _read_classes(payload: Mapping[str, Any]) -> np.ndarray:
    classes = _read(payload, "classes", list)
    kinds = {type(label) for label in classes}
    if len(kinds) != 1 or not kinds <= _LABEL_TYPES:
        raise _damaged("'classes' are not all numbers or all strings")
    labels = np.asarray(classes)
    if labels.ndim != 1 or len(set(classes)) < max(len(classes), 2) or not _finite(labels):
        raise _damaged("'classes' are not two or more different labels")
    return labels


def _finite(labels: np.ndarray) -> bool:
    return labels.dtype.kind != "f" or bool(np.isfinite(labels).all())


def _read_shape(payload: Mapping[str, Any]) -> tuple[int, ...]:
    shape = _read(payload, "input_shape", list)
    if not all(type(side) is int and side > 0 for side in shape) or len(shape) not in (1, 3):
        raise _damaged(f"'input_shape' is {shape!r}")
    if math.prod(shape) > _LARGEST_INPUT:
        raise _damaged(f"'input_shape' {shape!r} is too large")
    return tuple(shape)


def _read_range(payload: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = _read(payload, "input_range", (list, type(None)))
    if ends is None:
        return None
    if len(ends) != 2:
        raise _damaged("'input_range' is not a pair of numbers")
    low, high = (_read_number(end, "an end of 'input_range'") for end in ends)
    if low > high:
        raise _damaged(f"'input_range' runs from {low} down to {high}")
    return low, high


def _read_preprocess(payload: Mapping[str, Any], input_shape: tuple[int, ...]) -> Standardize:
    values = _read(payload, "preprocess", dict)
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


def _read_accuracy(mapping: Mapping[str, Any]) -> dict[str, float]:
    accuracy = _read(mapping, "accuracy", dict)
    for split, value in accuracy.items():
        if not isinstance(split, str) or not 0 <= _read_number(value, "an accuracy") <= 1:
            raise _damaged(f"the accuracy on {split!r} is {value!r}, not in the range [0, 1]")
    return dict(accuracy)


def _read_weight(entry: Mapping[str, Any]) -> float:
    weight = _read_number(_read(entry, "weight", (int, float)), "the weight of a member")
    if weight < 0:
        raise _damaged(f"the weight of a member is {weight!r}, below zero")
    return weight


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
