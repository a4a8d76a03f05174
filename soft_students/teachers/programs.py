"""Modules stored as programs: TorchScript and torch.export archives."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from soft_students.persistence import BundleError
from soft_students.teachers.base import last_line

# TorchScript is a language of its own, and its interpreter runs no Python. Still a program may do
# more than compute with its tensors; this is how one would say so, in which members of the archive.
_REACHES_OUT = (
    (".py", re.compile(rb"__setstate__"), "code that runs when it is loaded"),
    (".py", re.compile(rb"\b(save|from_file)\b"), "access to files"),
    (".py", re.compile(rb"(?<![.\w])ops\b(?!\.(aten|prim)\.)|\brpc_"), "operators of extensions"),
    (".py", re.compile(rb"torch\.classes"), "native classes"),
    (".pkl", re.compile(rb"torch\.classes"), "native classes"),
)


def load_torchscript(path: Path, members: list[str], *, device: str, trust: bool) -> nn.Module:
    """Read a TorchScript archive.

    Parameters
    ----------
    path : Path
    members : list of str
        Names in the archive.
    device : str
    trust : bool
        Allow what can reach beyond its own tensors: code that runs on loading, operators for
        files, custom classes and operators (those of quantised modules are).

    Raises
    ------
    BundleError
        If it is damaged or needs trust.
    """
    unsafe = None if trust else _reaches_out(path, members)
    if unsafe:
        raise BundleError(
            f"it is a TorchScript archive with {unsafe}. If you made it yourself, say so: --trust, "
            "or trust=True."
        )
    try:
        return torch.jit.load(str(path), map_location=device)
    except (RuntimeError, ValueError) as error:
        raise BundleError(f"the TorchScript archive is damaged ({last_line(error)}).") from error


def load_exported(path: Path, *, trust: bool) -> nn.Module:
    """Read a torch.export archive, which can run any code.

    `torch.export.load` unpickles constants, unpickles weights where their tensors ask for it,
    evaluates symbolic expressions as Python, and looks up operators among all attributes of torch.

    Parameters
    ----------
    path : Path
    trust : bool

    Raises
    ------
    BundleError
        Without trust, or if it is damaged.
    """
    if not trust:
        raise BundleError(
            "it is a torch.export archive, which can run any code that its maker put there when "
            "it is loaded. If you made it yourself, say so: --trust, or trust=True. ONNX files "
            "need no trust."
        )
    try:
        program = torch.export.load(path)
    except Exception as error:  # torch.export raises whatever its deserialiser meets
        raise BundleError(f"the archive is damaged ({last_line(error)}).") from error
    return exported_module(program)


def exported_module(program: ExportedProgram) -> nn.Module:
    """Return an exported program as a module that can be asked.

    Parameters
    ----------
    program : ExportedProgram
        Of a module in eval mode.

    Raises
    ------
    ValueError
        If it was exported in training mode: the mode is part of the program.
    """
    for node in program.graph.nodes:
        if _is_training(node):
            raise ValueError(
                f"The module was exported in training mode ({node.target}), and cannot leave it. "
                "Call module.eval() before torch.export.export."
            )
    return _Exported(program)


class _Exported(nn.Module):
    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.program = program.module()

    def train(self, mode: bool = True) -> Self:
        # the program refuses to change its mode
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        return self.program(inputs)


def _is_training(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return False
    names = [argument.name for argument in schema.arguments]
    values: dict[str, Any] = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return any(values.get(name) is True for name in ("train", "training"))


def _reaches_out(path: Path, members: list[str]) -> str | None:
    """Return what a TorchScript archive does beyond computing with its own tensors, or None."""
    if len({name.lower() for name in members}) < len(members):
        return "several members of the same name"  # which of them torch reads is not certain
    with zipfile.ZipFile(path) as archive:
        for name in members:
            for suffix, pattern, what in _REACHES_OUT:
                if name.lower().endswith(suffix) and pattern.search(archive.read(name)):
                    return what
    return None
