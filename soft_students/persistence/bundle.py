"""The file format: what is in a bundle, written and read without running anything from it.

A bundle is a zip archive of exactly two members, neither of them compressed (so no small file can
unfold into a large one, and any zip tool can take it apart):

``metadata.json``
    ``format`` and ``format_version``; ``content``: the student's registry name and class, its
    constructor parameters and small fitted values (see `soft_students.persistence.encoding`), the
    versions that wrote it and the SHA-256 of the other member; ``sha256``: that of ``content``, in
    the most compact JSON.
``arrays.safetensors``
    The fitted arrays.

The checksums find damage, not malice: who forges a file can forge its checksum. What makes
loading a stranger's file safe is that nothing in it is code, that no name in it is imported, and
that every size is checked before memory is taken.

Rules for whoever changes the format: `FORMAT_VERSION` goes up when a reader of the old version
would misread the new file, not when a parameter or a fitted value is added. A reader reads all
versions up to its own. In every version ``metadata.json`` is there, uncompressed, with ``format``
and ``format_version``, so that an old reader can say that a file is too new for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from soft_students.persistence.errors import BundleError

FORMAT = "soft-students bundle"
FORMAT_VERSION = 1
MAX_BYTES = 2**30  # of a bundle
MAX_METADATA_BYTES = 2**22
_MAX_ARRAYS_HEADER_BYTES = 2**20
_MAX_DIRECTORY_BYTES = 2**12  # the archive's table of contents; that of two members takes 122

_METADATA = "metadata.json"
_ARRAYS = "arrays.safetensors"
_CONTENT = {
    "student": str,
    "class": str,
    "params": dict,
    "fitted": dict,
    "arrays_sha256": str,
    "written_by": dict,
}
_END_OF_ZIP = struct.Struct("<4s4H2LH")
_DAMAGED = "it is cut short or damaged ({}). Copy the file again, or save the student again"


@dataclass(frozen=True)
class Bundle:
    """The content of a bundle.

    Parameters
    ----------
    student : str
        Name in the registry of students.
    class_name : str
        Which of that student's classes.
    params : dict
        Constructor parameters, encoded as JSON.
    fitted : dict
        Small fitted values, encoded as JSON.
    arrays : dict of str to ndarray
        Fitted arrays: bool, integers or finite floats.
    written_by : dict of str to str
        Versions of the packages that wrote it.
    data : dict
        What the student was trained on, plain JSON; may be empty.
    """

    student: str
    class_name: str
    params: dict[str, Any]
    fitted: dict[str, Any]
    arrays: dict[str, np.ndarray]
    written_by: dict[str, str]
    data: dict[str, Any] = field(default_factory=dict)


def write_bundle(bundle: Bundle, file: BinaryIO) -> None:
    """Write a bundle; equal bundles become equal bytes.

    Parameters
    ----------
    bundle : Bundle
    file : binary file object
        Writable and seekable.

    Raises
    ------
    ValueError
        If an array holds NaN or infinity, or the bundle would be larger than any reader accepts.
    TypeError
        If an array is neither bool nor of numbers.
    """
    for name, array in bundle.arrays.items():
        _check_array(name, array)
    arrays = save_arrays(
        {
            # Little-endian and contiguous: the library copies memory as it lies.
            name: np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
            for name, array in bundle.arrays.items()
        }
    )
    content = {
        "student": bundle.student,
        "class": bundle.class_name,
        "params": bundle.params,
        "fitted": bundle.fitted,
        "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
        "written_by": bundle.written_by,
        **({"data": bundle.data} if bundle.data else {}),
    }
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sha256": hashlib.sha256(_compact(content)).hexdigest(),
        "content": content,
    }
    members = {_METADATA: _compact(metadata), _ARRAYS: arrays}
    for name, limit in ((_METADATA, MAX_METADATA_BYTES), (_ARRAYS, MAX_BYTES - 2**23)):
        if len(members[name]) > limit:
            raise ValueError(
                f"The student is too large for a bundle: its {name} takes {len(members[name])} "
                f"bytes, at most {limit} are read. Use joblib.dump(student, path); loading such a "
                "file runs code from it."
            )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # the same bytes whatever the operating system
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


def read_bundle(file: BinaryIO) -> Bundle:
    """Read a bundle and check everything that can be checked without knowing the student.

    Parameters
    ----------
    file : binary file object
        Readable and seekable, at its beginning.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If it is anything but a whole bundle of a known version.
    """
    _check_kind(file)
    try:
        with zipfile.ZipFile(file) as archive:
            names = [member.filename for member in archive.infolist()]
            metadata = _parse_metadata(_read_member(archive, _METADATA, MAX_METADATA_BYTES, names))
            if sorted(names) != sorted([_METADATA, _ARRAYS]):
                raise BundleError(
                    f"it must hold {_METADATA} and {_ARRAYS}, once each. Got {names!r:.200} "
                    "instead. Do not use the file; somebody has changed it"
                )
            arrays = _read_member(archive, _ARRAYS, MAX_BYTES, names)
    except BundleError:
        raise
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, struct.error, ValueError) as error:
        # All that zipfile raises on files that no zip tool wrote.
        raise BundleError(_DAMAGED.format(str(error) or "it ends early")) from error
    content = _check_content(metadata)
    if hashlib.sha256(arrays).hexdigest() != content["arrays_sha256"]:
        raise BundleError(_DAMAGED.format(f"the checksum of {_ARRAYS} does not match"))
    return Bundle(
        student=content["student"],
        class_name=content["class"],
        params=content["params"],
        fitted=content["fitted"],
        arrays=_parse_arrays(arrays),
        written_by=content["written_by"],
        data=content.get("data", {}),
    )


def _check_kind(file: BinaryIO) -> None:
    """Tell other kinds of file apart, and bound what `zipfile` will look at."""
    start = file.read(512)
    size = file.seek(0, os.SEEK_END)
    if not start:
        raise BundleError("it is empty. Save the student again")
    if start[:1] == b"\x80":
        raise BundleError(
            "it is a pickle, which can run any code when it is loaded. Pass trust=True if you made "
            "the file yourself"
        )
    if start[:4] != b"PK\x03\x04":
        raise BundleError(
            "it is not a soft-students bundle. Give a file written by soft_students.save; a file "
            "written by joblib.dump needs trust=True, which runs code from it"
        )
    if b"/data.pkl" in start:
        raise BundleError(
            "it is a PyTorch file, not a student. Teachers are read by "
            "soft_students.teachers.load_teacher"
        )
    if size > MAX_BYTES:
        raise BundleError(f"it has {size} bytes, more than any bundle ({MAX_BYTES})")
    file.seek(-min(size, _END_OF_ZIP.size + 20), os.SEEK_END)
    tail = file.read()
    if len(tail) < _END_OF_ZIP.size:
        raise BundleError(_DAMAGED.format("its end is missing"))
    signature, *_, directory_bytes, _, _ = _END_OF_ZIP.unpack(tail[-_END_OF_ZIP.size :])
    large_archive = tail.startswith(b"PK\x06\x07")  # a second directory, which would overrule this
    if signature != b"PK\x05\x06" or large_archive:
        raise BundleError(_DAMAGED.format("its end is missing"))
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise BundleError(
            "it is a zip file of too many members to be a bundle. Give a file written by "
            "soft_students.save"
        )
    file.seek(0)


def _read_member(archive: zipfile.ZipFile, name: str, max_bytes: int, names: list[str]) -> bytes:
    if name not in names:
        raise BundleError(
            f"it is a zip file without {name}. Give a file written by soft_students.save"
        )
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise BundleError(f"its {name} is compressed, which no bundle's is. Do not use the file")
    if member.file_size > max_bytes:
        raise BundleError(
            f"its {name} claims {member.file_size} bytes, more than any bundle's ({max_bytes})"
        )
    return archive.read(member)


def _parse_metadata(data: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(_DAMAGED.format(f"{_METADATA} is no JSON")) from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise BundleError(
            f"its {_METADATA} is that of another format. Give a file written by soft_students.save"
        )
    version = metadata.get("format_version")
    if type(version) is not int or version < 1:
        raise BundleError(f"its format version is {version!r:.80}, which never existed")
    if version > FORMAT_VERSION:
        raise BundleError(
            f"it was written by a newer soft-students, in format {version}; this one reads up to "
            f"format {FORMAT_VERSION}. Run: pip install --upgrade soft-students"
        )
    return metadata


def _check_content(metadata: dict[str, Any]) -> dict[str, Any]:
    content = metadata.get("content")
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key, default), type_)
        for key, type_, default in [(*entry, None) for entry in _CONTENT.items()]
        + [("data", dict, {})]
    ):
        raise BundleError(_DAMAGED.format(f"{_METADATA} is incomplete"))
    try:
        checksum = hashlib.sha256(_compact(content)).hexdigest()
    except (ValueError, RecursionError) as error:
        raise BundleError(_DAMAGED.format(f"{_METADATA} holds what no writer wrote")) from error
    if checksum != metadata.get("sha256"):
        raise BundleError(_DAMAGED.format(f"the checksum of {_METADATA} does not match"))
    return content


def _parse_arrays(data: bytes) -> dict[str, np.ndarray]:
    header_bytes = int.from_bytes(data[:8], "little")
    if header_bytes > _MAX_ARRAYS_HEADER_BYTES:
        raise BundleError(f"the header of its {_ARRAYS} claims {header_bytes} bytes, too many")
    try:
        # KeyError: a type of number that numpy lacks. TypeError: no data, where there should be.
        arrays = load_arrays(data)
    except (SafetensorError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BundleError(_DAMAGED.format(f"{_ARRAYS}: {error}")) from error
    for name, array in arrays.items():
        try:
            _check_array(name, array)
        except (TypeError, ValueError) as error:
            raise BundleError(str(error)) from error
    return arrays


def _check_array(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"the array {name!r:.80} must be bool, integer or float. Got {array.dtype} instead"
        )
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        # numpy trusts that they are not, down to where it writes.
        raise ValueError(f"the array {name!r:.80} holds bools that are neither 0 nor 1")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"the array {name!r:.80} holds NaN or infinity: the training has diverged. Train the "
            "student again, with a lower learning rate say"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
