"""The IDX file format of MNIST: a header of sizes, then unsigned bytes.

A file consists of two zero bytes, a type code (0x08: unsigned byte), the number of dimensions, a
big-endian 32-bit size for each of them, and the values in C order.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 4  # rows, height, width, channels
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(file: io.BufferedIOBase, *, max_bytes: int) -> np.ndarray:
    """Read an array of unsigned bytes from an open IDX file.

    Safe for untrusted files: the size in the header is compared with `max_bytes` before memory is
    allocated, and no more is read (or unpacked, if `file` unpacks while reading).

    Parameters
    ----------
    file : buffered binary file object
        Positioned at the start of the header.
    max_bytes : int
        Size of the largest accepted array, in bytes.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    ValueError
        If the file is not an IDX file of unsigned bytes, is larger than `max_bytes`, or ends before
        or after its last value.

    Examples
    --------
    >>> import io
    >>> from soft_students.datasets.idx import read_idx
    >>> read_idx(io.BytesIO(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4])), max_bytes=100)
    array([5, 0, 4], dtype=uint8)
    """
    magic = _read_into(file, np.empty(4, dtype=np.uint8), "its header").tolist()
    if magic[:2] != [0, 0]:
        raise ValueError(f"it is not an IDX file: it starts with {bytes(magic)!r}")
    if magic[2] != _UNSIGNED_BYTE:
        raise ValueError(f"it must hold unsigned bytes (IDX type 0x08); got type 0x{magic[2]:02x}")
    ndim = magic[3]
    if not 1 <= ndim <= _MAX_DIMENSIONS:
        raise ValueError(f"it must have 1 to {_MAX_DIMENSIONS} dimensions; got {ndim}")
    sizes = _read_into(file, np.empty(4 * ndim, dtype=np.uint8), "its header").tobytes()
    shape = struct.unpack(f">{ndim}I", sizes)
    if math.prod(shape) > max_bytes:
        raise ValueError(f"its header claims the shape {shape}, more than {max_bytes} bytes")
    values = _read_into(file, np.empty(math.prod(shape), dtype=np.uint8), "its values")
    if file.read(1):
        raise ValueError(f"it has data after the {values.size} values of its shape {shape}")
    return values.reshape(shape)


def read_idx_file(path: Path, *, max_bytes: int) -> np.ndarray:
    """Read an IDX file, plain or compressed with gzip (detected by content, not by name).

    Parameters and errors are those of :func:`read_idx`; messages start with the path.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not packed:
                return read_idx(raw, max_bytes=max_bytes)
            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                return read_idx(unpacked, max_bytes=max_bytes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"'{path}' cannot be unpacked: {error}") from error
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be read: {error}") from error


def write_idx(file: BinaryIO, array: np.ndarray) -> None:
    """Write an array of unsigned bytes as an IDX file, without gzip."""
    file.write(_header(array))
    file.write(np.ascontiguousarray(array).data)


def idx_sha256(array: np.ndarray) -> str:
    """Return the SHA-256 sum, in hexadecimal, of the uncompressed IDX file of `array`.

    Each array has exactly one such file, so that one sum checks the data from every source.
    """
    digest = hashlib.sha256(_header(array))
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _header(array: np.ndarray) -> bytes:
    if array.dtype != np.uint8 or not 1 <= array.ndim <= _MAX_DIMENSIONS:
        raise ValueError(
            f"An IDX file holds a uint8 array of 1 to {_MAX_DIMENSIONS} dimensions. "
            f"Got {array.dtype} of shape {array.shape}."
        )
    return struct.pack(f">4B{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)


def _read_into(file: io.BufferedIOBase, buffer: np.ndarray, what: str) -> np.ndarray:
    # Into one buffer: reading and joining pieces would double the memory.
    view = buffer.data
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise ValueError(f"it ends within {what}: it has {done} of {len(view)} bytes")
        done += count
    return buffer
