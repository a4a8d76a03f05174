"""Teachers from files, of whichever format."""

from __future__ import annotations

import importlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soft_students.persistence import BundleError
from soft_students.teachers.base import Teacher
from soft_students.teachers.checkpoint import FORMAT, teacher_from_checkpoint
from soft_students.teachers.conversion import as_teacher
from soft_students.teachers.onnx import OnnxTeacher

# torch stores tensors uncompressed: an archive that unpacks to much more than its size is no model.
_EXPANSION, _EXPANSION_FREE = 20, 2**26

_TRUST = (
    "Loading it can run any code that its maker put there. If you made it yourself, say so: "
    "--trust, or trust=True."
)


def load_teacher(
    path: str | os.PathLike[str],
    *,
    arch: str | None = None,
    trust: bool = False,
    classes: Any = None,
    kind: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    input_range: tuple[float, float] | None = None,
    device: str = "cpu",
) -> Teacher:
    """Read a teacher from a file.

    Parameters
    ----------
    path : str or path-like
        A file of `save_teacher`, an ONNX file, a TorchScript archive, a plain state dict (with
        `arch`), or, with `trust`, a ``torch.export`` archive or a pickled module or estimator.
    arch : str, default=None
        ``module:factory`` to import and call without arguments; makes the module for a plain state
        dict.
    trust : bool, default=False
        Allow formats whose loading can run code from the file. Besides pickles these are
        ``torch.export`` archives: torch falls back to unpickling, and evaluates expressions.
    classes, kind, input_shape, input_range
        As in :func:`~soft_students.teachers.as_teacher`, for files that do not hold them.
    device : str, default="cpu"

    Returns
    -------
    Teacher

    Raises
    ------
    BundleError
        If the file is damaged, of an unknown format, or needs `trust` or `arch`.
    OSError
        If it is missing or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, not a teacher file.")
    if not path.exists():
        raise FileNotFoundError(f"There is no teacher file at '{path}'.")
    try:
        model = _read(path, arch, trust, device)
    except BundleError as error:
        raise BundleError(f"Cannot load '{path}': {error}") from error
    if isinstance(model, Path):
        return OnnxTeacher(
            path, kind=kind, classes=classes, input_shape=input_shape, input_range=input_range
        )
    return as_teacher(
        model,
        classes=classes,
        kind=kind,
        input_shape=input_shape,
        input_range=input_range,
        device=device,
    )


def _read(path: Path, arch: str | None, trust: bool, device: str) -> Any:
    """Return a Teacher, a model for `as_teacher`, or the path itself of an ONNX file."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise BundleError("the file is empty.")
    if start == b"PK\x03\x04":
        names = _archive_members(path)
        if any("/code/" in name for name in names) and any(
            name.endswith("constants.pkl") for name in names
        ):
            return _torchscript(path, device)
        if any(name.endswith("archive_format") or "exported_program" in name for name in names):
            return _exported(path, trust)
        if any(name.endswith("data.pkl") for name in names):
            return _torch_save(path, arch, trust, device)
        raise BundleError(
            "it is a zip archive, but none that torch wrote. A student's bundle is loaded with "
            "soft_students.load."
        )
    if start[:1] == b"\x80":
        if not trust:
            raise BundleError(f"it is a pickle. {_TRUST}")
        return _unpickle(path)
    if path.suffix.lower() == ".onnx" or start[:1] == b"\x08":
        return path
    raise BundleError(
        "it is no teacher file. Known are files of 'softkd teach', state dicts, TorchScript, "
        "torch.export and ONNX."
    )


def _archive_members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BundleError(f"the file is damaged or truncated ({error}).") from error
    size = path.stat().st_size
    if sum(member.file_size for member in members) > _EXPANSION * size + _EXPANSION_FREE:
        raise BundleError("the archive unpacks to far more than a model of its size holds.")
    return [member.filename for member in members]


def _torchscript(path: Path, device: str) -> nn.Module:
    try:
        return torch.jit.load(str(path), map_location=device)
    except (RuntimeError, ValueError) as error:
        raise BundleError(f"the TorchScript archive is damaged ({_first_line(error)}).") from error


def _exported(path: Path, trust: bool) -> nn.Module:
    if not trust:
        raise BundleError(f"it is a torch.export archive. {_TRUST}")
    try:
        return _ExportedModule(torch.export.load(path))
    except Exception as error:  # torch.export raises whatever its deserialiser meets
        raise BundleError(f"the archive is damaged ({_first_line(error)}).") from error


class _ExportedModule(nn.Module):
    """An exported program in evaluation form: its own module refuses eval()."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self._graph = [program.module()]  # in a list, so that eval() does not reach it

    def forward(self, inputs: Tensor) -> Tensor:
        return self._graph[0](inputs)


def _torch_save(path: Path, arch: str | None, trust: bool, device: str) -> Any:
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not trust:
            raise BundleError(f"it holds pickled objects, not weights alone. {_TRUST}") from error
        payload = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # a damaged archive fails anywhere in torch's reader
        raise BundleError(f"the file is damaged or truncated ({_first_line(error)}).") from error
    if isinstance(payload, Mapping) and payload.get("format") == FORMAT:
        try:
            return teacher_from_checkpoint(payload, device)
        except ValueError as error:
            raise BundleError(str(error)) from error
    if isinstance(payload, Mapping):
        return _from_state_dict(payload, arch)
    return payload


def _from_state_dict(payload: Mapping[str, Any], arch: str | None) -> nn.Module:
    state = payload.get("state_dict", payload)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BundleError(
            f"it holds a dictionary with the keys {list(payload)[:5]}, not a state dict."
        )
    if arch is None:
        raise BundleError(
            "it is a plain state dict, which does not say which module it belongs to. Name a "
            "factory: --arch module:factory, or arch='module:factory'."
        )
    module_name, _, factory_name = arch.partition(":")
    if not module_name or not factory_name:
        raise ValueError(f"arch must have the form module:factory. Got {arch!r} instead.")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"Cannot import {arch!r}: {error}.") from error
    module = factory()
    if not isinstance(module, nn.Module):
        raise ValueError(f"{arch}() must return an nn.Module. Got {type(module).__name__}.")
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(f"the weights do not fit {arch}(): {error}") from error
    return module


def _unpickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception:  # not of torch.save: joblib's or pickle's own
        import joblib

        try:
            return joblib.load(path)
        except Exception as error:
            raise BundleError(f"the pickle is damaged ({_first_line(error)}).") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
