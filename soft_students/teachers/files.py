"""Teachers from files of all supported formats."""

from __future__ import annotations

import importlib
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib
import torch
from torch import Tensor, nn

from soft_students.persistence import BundleError
from soft_students.persistence.tensors import LEGACY_TORCH, PickledObjectsError, load_tensors
from soft_students.teachers.base import Teacher, last_line
from soft_students.teachers.checkpoint import FORMAT, teacher_from_checkpoint
from soft_students.teachers.conversion import as_teacher
from soft_students.teachers.onnx import OnnxTeacher
from soft_students.teachers.programs import load_exported, load_torchscript
from soft_students.teachers.torch_module import TorchTeacher, check_device

# torch stores tensors uncompressed: an archive that unpacks to far more than its size is no model.
_EXPANSION, _EXPANSION_FREE = 20, 2**26

_ZIP = b"PK\x03\x04"
# First bytes of joblib's compressions of pickles: zlib, gzip, bzip2, xz, lzma.
_COMPRESSED = (
    b"\x78\x01",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"]\0\0",
)

_TRUST = (
    "Loading it can run any code that its author put there. If you trust its source, allow it: "
    "--trust, or trust=True."
)


def load_teacher(
    path: str | os.PathLike[str],
    *,
    arch: str | None = None,
    trust: bool = False,
    classes: Any = None,
    kind: str | None = None,
    task: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    preprocess: Callable[[Tensor], Tensor] | Mapping[str, Any] | None = None,
    input_range: tuple[float, float] | None = None,
    output: str | None = None,
    device: str = "cpu",
) -> Teacher:
    """Read a teacher from a file.

    Parameters
    ----------
    path : str or path-like
        A file of `save_teacher`, an ONNX file, a plain state dict (with `arch`), or, with `trust`,
        a TorchScript or ``torch.export`` archive or a pickled module or estimator.
    arch : str, default=None
        ``module:factory``, imported and called without arguments to build the module of a plain
        state dict.
    trust : bool, default=False
        Whether to allow formats that can run code when loaded: pickles, TorchScript and
        ``torch.export`` archives. Set it only for files from a source you trust.
    classes, kind, task, input_shape, preprocess, input_range
        See :func:`~soft_students.teachers.as_teacher`; for files that do not contain them.
    output : str, default=None
        Name of the output to use of an ONNX file with several.
    device : str, default="cpu"

    Returns
    -------
    Teacher

    Raises
    ------
    BundleError
        If the file is damaged, of an unknown format, or needs `trust` or `arch`.
    ValueError
        If an option does not apply to the file, or `arch` is invalid.
    OSError
        If the file is missing or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, not a teacher file.")
    if not path.exists():
        raise FileNotFoundError(f"There is no teacher file at '{path}'.")
    check_device(device)
    if _is_onnx(path):
        _check_unused(path, "an ONNX file", arch=arch, preprocess=preprocess)
        return OnnxTeacher(
            path,
            kind=kind,
            output=output,
            task=task or "classification",
            classes=classes,
            input_shape=input_shape,
            input_range=input_range,
        )
    try:
        model = _read(path, trust=trust, device=device)
        if isinstance(model, Mapping):
            model = _from_state_dict(model, arch)
        else:
            _check_unused(path, "no plain state dict", arch=arch)
    except BundleError as error:
        raise BundleError(f"Cannot load '{path}': {error}") from error
    _check_unused(path, "no ONNX file", output=output)
    if isinstance(model, nn.Module):
        return TorchTeacher(
            model,
            classes=classes,
            kind=kind,
            task=task or "classification",
            input_shape=input_shape,
            preprocess=preprocess,
            input_range=input_range,
            name=path.stem,
            device=device,
        )
    if not isinstance(model, Teacher) and not hasattr(model, "predict"):
        raise BundleError(f"Cannot load '{path}': it holds a {type(model).__name__}, not a model.")
    try:
        return as_teacher(
            model,
            classes=classes,
            kind=kind,
            task=task,
            input_shape=input_shape,
            preprocess=preprocess,
            input_range=input_range,
        )
    except TypeError as error:
        raise BundleError(f"Cannot load '{path}': {error}") from error


def _is_onnx(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1)
    # the protobuf message begins with the version of the format
    return start == b"\x08" or (path.suffix.lower() == ".onnx" and start != b"")


def _read(path: Path, *, trust: bool, device: str) -> Any:
    """Return a Teacher, a model for `as_teacher`, or a dictionary of weights."""
    with path.open("rb") as file:
        start = file.read(len(LEGACY_TORCH))
    if not start:
        raise BundleError("the file is empty.")
    if start.startswith(_ZIP):
        names = _archive_members(path)
        if any("/code/" in name for name in names):
            return load_torchscript(path, device=device, trust=trust)
        if any(name.endswith(("/archive_format", "exported_program.json")) for name in names):
            return load_exported(path, trust=trust)
        if any(name.endswith("/data.pkl") for name in names):
            return _read_torch_save(path, trust=trust, device=device)
        if "metadata.json" in names:
            raise BundleError("it is a student's bundle; load it with soft_students.load.")
        raise BundleError("it is a zip archive that torch did not write.")
    if start == LEGACY_TORCH:
        return _read_torch_save(path, trust=trust, device=device)
    if start[:1] == b"\x80":
        if not trust:
            raise BundleError(f"it is a pickle. {_TRUST}")
        return _unpickle(lambda: joblib.load(path))
    if start.startswith(_COMPRESSED):
        if not trust:
            raise BundleError(f"it is compressed and may hold a pickle. {_TRUST}")
        return _unpickle(lambda: joblib.load(path))
    raise BundleError(
        "it is no teacher file. Supported are files of 'softkd teach', state dicts, TorchScript, "
        "torch.export and ONNX."
    )


def _archive_members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            damaged = archive.testzip() if _fits(members, path) else None
    except Exception as error:  # for damaged archives zipfile raises more than BadZipFile
        raise BundleError(f"the file is damaged or truncated ({last_line(error)}).") from error
    if not _fits(members, path):
        raise BundleError("the archive unpacks to far more than a model of its size can hold.")
    if damaged is not None:
        raise BundleError(f"the file is damaged: the checksum of {damaged!r} in it is wrong.")
    return [member.filename for member in members]


def _fits(members: list[zipfile.ZipInfo], path: Path) -> bool:
    size = sum(member.file_size for member in members)
    return size <= _EXPANSION * path.stat().st_size + _EXPANSION_FREE


def _read_torch_save(path: Path, *, trust: bool, device: str) -> Any:
    try:
        payload = load_tensors(path)
    except PickledObjectsError as error:
        if not trust:
            raise BundleError(f"{error}. {_TRUST}") from error
        payload = _unpickle(lambda: torch.load(path, map_location="cpu", weights_only=False))
    except BundleError as error:
        raise BundleError(f"{error}.") from error
    if isinstance(payload, Mapping) and payload.get("format") == FORMAT:
        try:
            return teacher_from_checkpoint(payload, device)
        except ValueError as error:
            raise BundleError(str(error)) from error
    return payload


def _unpickle(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (ImportError, AttributeError) as error:
        raise BundleError(
            f"it needs code that cannot be imported here ({last_line(error)}). Pickles hold no "
            "code: make the module that defines its classes importable under the same name."
        ) from error
    except Exception as error:  # an unpickler can raise any exception
        raise BundleError(f"the pickle is damaged ({last_line(error)}).") from error


def _from_state_dict(payload: Mapping[Any, Any], arch: str | None) -> nn.Module:
    state = payload.get("state_dict", payload.get("model_state_dict", payload))
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    ):
        raise BundleError(
            f"it holds a dictionary with the keys {list(payload)[:5]}, not a state dict."
        )
    if arch is None:
        raise BundleError(
            "it is a plain state dict, which does not name its module. Name a factory: --arch "
            "module:factory, or arch='module:factory'."
        )
    module = _make(arch)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:400]
        raise BundleError(f"the weights do not fit {arch}: {reason}") from error
    return module


def _make(arch: str) -> nn.Module:
    module_name, _, factory_name = arch.partition(":")
    if not module_name or not factory_name:
        raise ValueError(f"'arch' must have the form module:factory. Got {arch!r} instead.")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"'arch' {arch!r} cannot be imported: {error}.") from error
    try:
        module = factory()
    except TypeError as error:
        raise ValueError(f"'arch' {arch!r} must be callable without arguments: {error}.") from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"'arch' {arch!r} must return an nn.Module. Got {type(module).__name__} instead."
        )
    return module


def _check_unused(path: Path, what: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name!r} does not apply to '{path}', which is {what}.")
