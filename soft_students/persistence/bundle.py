"""The file format of students: bundles, which contain no code.

A bundle is a zip archive of exactly two uncompressed members. A small file can therefore not expand
into a large one, and any zip tool can open it:

``metadata.json``
    ``format`` and ``format_version``; ``content``: the student's registry name and class, its
    constructor parameters and small fitted values (see `soft_students.persistence.encoding`), the
    versions that wrote it and the SHA-256 of the other member; ``sha256`` of ``content``, in
    compact JSON.
``arrays.safetensors``
    The fitted arrays.

The checksums detect damage, not forgery. Loading an untrusted file is safe because nothing in it is
code, no name in it is imported, and every size is checked before memory is allocated.

Rules for changes of the format: increase `FORMAT_VERSION` if a reader of the old version would
misread the new file, not if a parameter or a fitted value is added. A reader reads all versions up
to its own. Every version has an uncompressed ``metadata.json`` with ``format`` and
``format_version``, so that an old reader can report a file that is too new.
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
MAX_BYTES = 2**30  # size of a bundle
MAX_METADATA_BYTES = 2**22
_MAX_ARRAYS_HEADER_BYTES = 2**20
_MAX_DIRECTORY_BYTES = 2**12  # the archive's directory; that of two members takes 122

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
_DAMAGED = "it is truncated or damaged ({}). Copy the file again, or save the student again"


@dataclass(frozen=True)
class Bundle:
    """The content of a bundle.

    Parameters
    ----------
    student : str
        Name in the registry of students.
    class_name : str
        Name of the student's class.
    params : dict
        Constructor parameters, encoded as JSON.
    fitted : dict
        Small fitted values, encoded as JSON.
    arrays : dict of str to ndarray
        Fitted arrays: bool, integers or finite floats.
    written_by : dict of str to str
        Versions of the packages that wrote it.
    data : dict
        Description of the training data, plain JSON; may be empty.
    """

    student: str
    class_name: str
    params: dict[str, Any]
    fitted: dict[str, Any]
    arrays: dict[str, np.ndarray]
    written_by: dict[str, str]
    data: dict[str, Any] = field(default_factory=dict)


def write_bundle(bundle: Bundle, file: BinaryIO) -> None:
    """Write a bundle; equal bundles give equal bytes.

    Parameters
    ----------
    bundle : Bundle
    file : binary file object
        Writable, seekable file.

    Raises
    ------
    ValueError
        If an array contains NaN or infinity, or the bundle would exceed the readers' limit.
    TypeError
        If an array is neither bool nor numeric.
    """
    for name, array in bundle.arrays.items():
        _check_array(name, array)
    arrays = save_arrays(
        {
            # little-endian and contiguous: the library copies raw memory
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
                f"bytes, more than {limit}. Use joblib.dump(student, path); loading such a file "
                "runs code from it."
            )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # the same bytes on every operating system
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


def read_bundle(file: BinaryIO) -> Bundle:
    """Read a bundle and check all that is independent of the student's class.

    Parameters
    ----------
    file : binary file object
        Readable, seekable file, at its beginning.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If the file is not a complete bundle of a supported version.
    """
    _check_kind(file)
    try:
        with zipfile.ZipFile(file) as archive:
            names = [member.filename for member in archive.infolist()]
            metadata = _parse_metadata(_read_member(archive, _METADATA, MAX_METADATA_BYTES, names))
            if sorted(names) != sorted([_METADATA, _ARRAYS]):
                raise BundleError(
                    f"it must hold {_METADATA} and {_ARRAYS}, once each. Got {names!r:.200} "
                    "instead. Do not use the file; it was manipulated"
                )
            arrays = _read_member(archive, _ARRAYS, MAX_BYTES, names)
    except BundleError:
        raise
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, struct.error, ValueError) as error:
        # all errors of zipfile on manipulated files
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
    """Raise BundleError for other kinds of files, and limit what `zipfile` will read."""
    start = file.read(512)
    size = file.seek(0, os.SEEK_END)
    if not start:
        raise BundleError("it is empty. Save the student again")
    if start[:1] == b"\x80":
        raise BundleError(
            "it is a pickle, which can run any code when it is loaded. Pass trust=True if you "
            "trust its source"
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
        raise BundleError(f"it has {size} bytes; a bundle has at most {MAX_BYTES}")
    file.seek(-min(size, _END_OF_ZIP.size + 20), os.SEEK_END)
    tail = file.read()
    if len(tail) < _END_OF_ZIP.size:
        raise BundleError(_DAMAGED.format("its end is missing"))
    signature, *_, directory_bytes, _, _ = _END_OF_ZIP.unpack(tail[-_END_OF_ZIP.size :])
    large_archive = tail.startswith(b"PK\x06\x07")  # a second directory, overriding this one
    if signature != b"PK\x05\x06" or large_archive:
        raise BundleError(_DAMAGED.format("its end is missing"))
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise BundleError(
            "it is a zip file with too many members for a bundle. Give a file written by "
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
        raise BundleError(f"its {name} is compressed, unlike in any bundle. Do not use the file")
    if member.file_size > max_bytes:
        raise BundleError(
            f"its {name} claims {member.file_size} bytes, more than the limit of {max_bytes}"
        )
    return archive.read(member)


def _parse_metadata(data: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(_DAMAGED.format(f"{_METADATA} is not JSON")) from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise BundleError(
            f"its {_METADATA} has another format. Give a file written by soft_students.save"
        )
    version = metadata.get("format_version")
    if type(version) is not int or version < 1:
        raise BundleError(f"its format version is {version!r:.80}, which does not exist")
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
        raise BundleError(_DAMAGED.format(f"{_METADATA} holds invalid values")) from error
    if checksum != metadata.get("sha256"):
        raise BundleError(_DAMAGED.format(f"the checksum of {_METADATA} does not match"))
    return content


def _parse_arrays(data: bytes) -> dict[str, np.ndarray]:
    header_bytes = int.from_bytes(data[:8], "little")
    if header_bytes > _MAX_ARRAYS_HEADER_BYTES:
        raise BundleError(f"the header of its {_ARRAYS} claims {header_bytes} bytes, too many")
    try:
        # KeyError: a dtype that numpy lacks; TypeError: missing data
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
        # numpy relies on 0 and 1, even for where it writes
        raise ValueError(f"the array {name!r:.80} holds bools that are neither 0 nor 1")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"the array {name!r:.80} holds NaN or infinity: the training has diverged. Train the "
            "student again, e.g. with a lower learning rate"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
