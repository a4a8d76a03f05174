"""Modules stored as programs: TorchScript and torch.export archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from soft_students.persistence import BundleError
from soft_students.teachers.base import last_line


def load_torchscript(path: Path, *, device: str, trust: bool) -> nn.Module:
    """Read a TorchScript archive, a format that can run code when it is loaded.

    The archive can write any file. Torch does not validate it: a manipulated one can take all
    memory.

    Parameters
    ----------
    path : Path
    device : str
    trust : bool

    Raises
    ------
    BundleError
        If `trust` is False, or the archive is damaged.
    """
    if not trust:
        raise BundleError(
            "it is a TorchScript archive, a program that can write files and take all memory. If "
            "you trust its source, allow it: --trust, or trust=True. ONNX files need no trust."
        )
    try:
        return torch.jit.load(str(path), map_location=device)
    except Exception as error:  # torch's reader can raise any exception
        raise BundleError(f"the TorchScript archive is damaged ({last_line(error)}).") from error


def load_exported(path: Path, *, trust: bool) -> nn.Module:
    """Read a torch.export archive, a format that can run code when it is loaded.

    `torch.export.load` unpickles constants, and weights if their tensors request it. It evaluates
    symbolic expressions as Python, and looks up operators among all attributes of torch.

    Parameters
    ----------
    path : Path
    trust : bool

    Raises
    ------
    BundleError
        If `trust` is False, or the archive is damaged.
    """
    if not trust:
        raise BundleError(
            "it is a torch.export archive, which can run any code that its author put there when "
            "it is loaded. If you trust its source, allow it: --trust, or trust=True. ONNX files "
            "need no trust."
        )
    try:
        program = torch.export.load(path)
    except Exception as error:  # torch.export's deserialiser can raise any exception
        raise BundleError(f"the archive is damaged ({last_line(error)}).") from error
    return exported_module(program)


def exported_module(program: ExportedProgram) -> nn.Module:
    """Convert an exported program to a module.

    Parameters
    ----------
    program : ExportedProgram
        Program exported in eval mode.

    Raises
    ------
    ValueError
        If it was exported in training mode, which is fixed in the program.
    """
    for node in program.graph.nodes:
        if _is_training(node):
            raise ValueError(
                f"The module was exported in training mode ({node.target}), which cannot be "
                "changed. Call module.eval() before torch.export.export."
            )
    return _Exported(program)


class _Exported(nn.Module):
    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.program = program.module()

    def train(self, mode: bool = True) -> Self:
        # the program's mode is fixed
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
