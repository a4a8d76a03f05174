"""Reading of untrusted `torch.save` files of tensors and plain values, within limits.

``torch.load(weights_only=True)`` runs no code from a file, but trusts its sizes: a deeply nested
tuple crashes the process, a tuple that contains itself many times runs forever, and a request for a
gigabyte of bytes takes it. This module therefore first simulates the pickle's instructions, with
sizes instead of values. Imports torch.
"""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn

from soft_students.persistence.errors import BundleError

#: First bytes of torch.save's files before it wrote zip archives.
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_ZIP = b"PK\x03\x04"
_END_BYTES = 22
_END_64, _LOCATOR_64 = struct.Struct("<4sQHHLLQQQQ"), struct.Struct("<4sLQL")
_MAX_PICKLE_BYTES = 2**26
_MAX_TUPLE, _MAX_TUPLE_DEPTH = 2**16, 20  # shared values count at each occurrence
_MAX_VALUES, _MAX_DEPTH = 2**22, 100  # of the whole file, counted in the same way
_LEGACY_PICKLES = 5  # magic number, protocol, machine, the value, keys of the storages

#: Bytes of one value by type of the storage.
_ITEM_BYTES = {
    f"torch {name}Storage": size
    for size, names in {
        1: ("Byte", "Char", "Bool"),
        2: ("Half", "BFloat16", "Short"),
        4: ("Float", "Int"),
        8: ("Double", "Long", "ComplexFloat"),
        16: ("ComplexDouble",),
    }.items()
    for name in names
}
_ALLOWED = re.compile(
    r"collections OrderedDict"
    r"|torch (\w+Storage|Size|device|u?int\d+|b?float\d+\w*|complex\d+|bool)"
    r"|torch\.storage UntypedStorage"
    r"|torch\._utils _rebuild_(tensor_v2|tensor_v3|parameter|parameter_with_state)"
    r"|torch\.nn\.parameter Parameter"
)
#: The names that a pickle may call; it may only refer to the others.
_CALLED = re.compile(
    r"collections OrderedDict|torch (Size|device)|torch\._utils .*|torch\.nn\.parameter Parameter"
)
_CONSTANTS = {
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINSTRING", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


#: Most dictionary keys whose hashes the author of a file can choose.
_MAX_ODD_KEYS = 1000


class PickledObjectsError(BundleError):
    """A file holds more than tensors and plain values; reading it can run its code."""


def load_tensors(path: str | os.PathLike[str]) -> Any:
    """Read a file of `torch.save` that consists of tensors and plain values.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    object
        Consists of tensors on the CPU, numbers, strings, None, lists, tuples and dictionaries.

    Raises
    ------
    PickledObjectsError
        If the file holds other objects.
    BundleError
        If it is damaged, manipulated or no file of `torch.save`. The message begins with a
        lower-case letter.
    OSError
        If it is missing or cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(len(LEGACY_TORCH))
        if start == LEGACY_TORCH:
            program = io.BytesIO(start + file.read(_MAX_PICKLE_BYTES))
            for _ in range(_LEGACY_PICKLES):
                _check_program(program, {None: path.stat().st_size})
        elif start.startswith(_ZIP):
            _check_archive(path)
        else:
            raise BundleError("it is not a file of torch.save")
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PickledObjectsError("it holds pickled objects, not tensors alone") from error
    except OSError:
        raise
    except Exception as error:  # torch's reader can raise any exception
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BundleError(f"it is damaged or truncated ({lines[-1]:.200})") from error
    _check_value(value)
    return value


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            sizes = {info.filename: info.file_size for info in members}
            programs = [name for name in sizes if name.endswith("data.pkl")]
            root = members[0].filename.partition("/")[0] if members else ""
            if len({name.lower() for name in sizes}) < len(members):
                raise BundleError("several of its members have the same name")
            # of two archives in one file, readers choose different ones
            if programs != [f"{root}/data.pkl"] or _is_ambiguous(path, archive):
                raise BundleError("it is not an archive of torch.save")
            if any(info.compress_type != zipfile.ZIP_STORED for info in members):
                raise BundleError("its members are compressed, which torch.save does not do")
            if sizes[programs[0]] > _MAX_PICKLE_BYTES:
                raise BundleError(f"its data.pkl has {sizes[programs[0]]} bytes, too many")
            program = archive.read(programs[0])
    except (BundleError, OSError):
        raise
    except Exception as error:  # for damaged archives zipfile raises more than BadZipFile
        raise BundleError(f"it is damaged or truncated ({error})") from error
    stored = {
        name.removeprefix(f"{root}/data/"): size
        for name, size in sizes.items()
        if name.startswith(f"{root}/data/")
    }
    _check_program(io.BytesIO(program), stored)


def _is_ambiguous(path: Path, archive: zipfile.ZipFile) -> bool:
    """Return whether the file holds anything besides one archive."""
    members = archive.infolist()
    end = archive.start_dir + sum(
        46 + len(info.orig_filename.encode()) + len(info.extra) + len(info.comment)
        for info in members
    )
    with path.open("rb") as file:
        file.seek(end)
        tail = file.read(_END_64.size + _LOCATOR_64.size + _END_BYTES + 1)
    if len(tail) > _END_BYTES:  # torch writes the directory in both of its forms
        if len(tail) != _END_64.size + _LOCATOR_64.size + _END_BYTES:
            return True
        signature, *_, start = _END_64.unpack_from(tail)
        locator, _, place, _ = _LOCATOR_64.unpack_from(tail, _END_64.size)
        if (signature, locator) != (b"PK\6\6", b"PK\6\7") or (start, place) != (
            archive.start_dir,
            end,
        ):
            return True
    return min(info.header_offset for info in members) != 0 or bool(archive.comment)


@dataclass(frozen=True)
class _Value:
    """The size and depth of a value in the simulation of a pickle."""

    plain: Any = None  # a number, a string, or a name
    parts: tuple[_Value, ...] = ()
    size: int = 1
    depth: int = 0


def _check_program(file: BinaryIO, stored: dict[Any, int]) -> None:
    """Raise BundleError if torch's reader would fail on a pickle, or storages are missing.

    Parameters
    ----------
    file : binary file object
    stored : dict of str to int
        Bytes of each storage by key; the key None applies to all.
    """
    stack: list[_Value] = []
    marks: list[int] = []
    memo: dict[int, _Value] = {}
    n_odd_keys = 0
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name in ("SETITEM", "SETITEMS"):
                start = len(stack) - 2 if opcode.name == "SETITEM" else marks[-1]
                n_odd_keys += sum(map(_may_collide, stack[start::2]))
                if n_odd_keys > _MAX_ODD_KEYS:
                    raise BundleError(
                        "its dictionaries have too many tuples or large numbers as keys"
                    )
            _follow(opcode.name, argument, stack, marks, memo, stored)
    except BundleError:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"its pickle is damaged ({error})") from error


def _may_collide(key: _Value) -> bool:
    """Return whether such keys can be chosen to have equal hashes, which takes quadratic time."""
    return key.depth > 0 or (type(key.plain) is int and abs(key.plain) >= sys.hash_info.modulus)


def _follow(
    name: str,
    argument: Any,
    stack: list[_Value],
    marks: list[int],
    memo: dict[int, _Value],
    stored: dict[Any, int],
) -> None:
    if name in _CONSTANTS:
        stack.append(_Value(argument))
    elif name == "GLOBAL":
        if not _ALLOWED.fullmatch(argument):
            raise PickledObjectsError("it holds pickled objects, not tensors alone")
        stack.append(_Value(argument))
    elif name == "MARK":
        marks.append(len(stack))
    elif name in _TUPLES or name == "TUPLE":
        start = marks.pop() if name == "TUPLE" else len(stack) - _TUPLES[name]
        if start < 0:
            raise IndexError("too few values")
        parts = tuple(stack[start:])
        stack[start:] = [_tuple(parts)]
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name in ("REDUCE", "NEWOBJ"):
        made_of, called = stack.pop(), stack[-1].plain
        if not isinstance(called, str) or not _CALLED.fullmatch(called):
            raise PickledObjectsError("it holds pickled objects, not tensors alone")
        # torch.Size is a tuple, too
        stack[-1] = _Value(("made by", called), size=made_of.size, depth=made_of.depth)
    elif name == "BINPERSID":
        stack[-1] = _storage(stack[-1].parts, stored)
    elif name == "BUILD":
        stack.pop()
        if stack[-1].plain != ("made by", "collections OrderedDict"):
            raise PickledObjectsError("it holds pickled objects, not tensors alone")
    elif name in ("APPEND", "SETITEM"):
        del stack[-1 if name == "APPEND" else -2 :]
    elif name in ("APPENDS", "SETITEMS"):
        del stack[marks.pop() :]
    elif name not in ("PROTO", "STOP"):
        raise PickledObjectsError(f"it holds pickled objects, not tensors alone ({name})")


def _tuple(parts: tuple[_Value, ...]) -> _Value:
    size = 1 + sum(part.size for part in parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    if size > _MAX_TUPLE or depth > _MAX_TUPLE_DEPTH:
        raise BundleError("a tuple in it holds too many values, or is nested too deeply")
    # only the parts of a storage are read again
    return _Value(parts=parts if len(parts) in (5, 6) else (), size=size, depth=depth)


def _storage(parts: tuple[_Value, ...], stored: dict[Any, int]) -> _Value:
    kind, dtype, key, _, n_values = (part.plain for part in parts[:5])
    if kind != "storage" or not isinstance(dtype, str) or type(n_values) is not int:
        raise ValueError("a storage without a size")
    held = stored[None] if None in stored else stored[key]
    of_one = 1 if dtype == "torch.storage UntypedStorage" else _ITEM_BYTES.get(dtype, 0)
    if not of_one:
        raise ValueError(f"a storage of {dtype:.80}")
    if n_values < 0 or n_values * of_one > held:
        raise BundleError(f"a tensor in it claims {n_values} values, more than are stored")
    return _Value()


def _check_value(value: Any) -> None:
    """Raise BundleError if a value is too large or deep to print, compare or write as JSON."""
    # size (shared values count at each occurrence) and depth by container; None in progress
    known: dict[int, tuple[int, int] | None] = {}
    waiting = [(value, False)]
    while waiting:
        each, is_done = waiting.pop()
        if isinstance(each, torch.Tensor):
            _check_tensor(each)
            continue
        if not isinstance(each, list | tuple | dict):
            continue
        if not is_done:
            if id(each) in known:
                if known[id(each)] is None:
                    raise BundleError("a value in it contains itself")
                continue
            known[id(each)] = None
            waiting.append((each, True))
            waiting.extend((part, False) for part in _parts(each))
            continue
        inner = [known.get(id(part)) or (1, 0) for part in _parts(each)]
        size = 1 + sum(part for part, _ in inner)
        depth = 1 + max((part for _, part in inner), default=0)
        if size > _MAX_VALUES or depth > _MAX_DEPTH:
            raise BundleError("it holds too many values, or values nested too deeply")
        known[id(each)] = size, depth


def _parts(container: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> Iterator[Any]:
    if isinstance(container, dict):
        yield from container.keys()
        yield from container.values()
    else:
        yield from container


def _check_tensor(tensor: torch.Tensor) -> None:
    if (
        type(tensor) not in (torch.Tensor, nn.Parameter)
        or tensor.layout != torch.strided
        or tensor.device.type != "cpu"
        or tensor.is_quantized
    ):
        raise BundleError("a tensor in it is of an unsupported kind: sparse, quantised or other")
    # strides of zero let a tensor of any shape share a few stored bytes
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise BundleError("a tensor in it claims more values than are stored")
