"""Reading of untrusted NPY and NPZ files: claimed sizes are checked, nothing is unpickled."""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

#: An archive may unpack to this multiple of its size plus this number of bytes.
_EXPANSION, _EXPANSION_FREE = 20, 2**25

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NpzArrays:
    """The arrays of an NPZ archive, each read on access.

    Parameters
    ----------
    archive : ZipFile
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        members = [info.filename for info in archive.infolist()]
        #: Names of the arrays.
        self.names = [name[:-4] for name in members if name.endswith(".npy")]
        if len(set(members)) < len(members):
            raise ValueError("several of its members have the same name")

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._archive.getinfo(f"{name}.npy")
        try:
            with self._archive.open(member) as file:
                content = file.read()
        except Exception as error:  # each compression raises its own errors
            raise ValueError(f"it is damaged ({error})") from error
        return read_npy(io.BytesIO(content), len(content))


@contextlib.contextmanager
def open_npz(path: str | os.PathLike[str]) -> Iterator[NpzArrays]:
    """Open an NPZ archive.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    NpzArrays

    Raises
    ------
    ValueError
        If the file is no NPZ archive, is damaged, or unpacks to far more than its size. The message
        begins with a lower-case letter, so that the caller can put the file's name before it.
    OSError
        If the file is missing or cannot be read.
    """
    size = os.stat(path).st_size
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            arrays = NpzArrays(archive)
        except OSError:
            raise
        except Exception as error:  # for damaged archives zipfile raises more than BadZipFile
            raise ValueError(f"it is no NPZ archive, or damaged ({error})") from error
        unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > _EXPANSION * size + _EXPANSION_FREE:
            raise ValueError(
                f"it unpacks from {size} bytes to {unpacked}, more than {_EXPANSION} times as "
                "many; if that is correct, write it with numpy.savez, without compression"
            )
        yield arrays


def read_npy(file: BinaryIO, size: int) -> np.ndarray:
    """Read an array from an open NPY file.

    Parameters
    ----------
    file : binary file object
        File, at its beginning.
    size : int
        Bytes in the file: a larger claimed size raises an error before memory is allocated.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If the file is no NPY file, is damaged, or holds (pickled) Python objects. The message
        begins with a lower-case letter.
    """
    check_npy(file, size)
    file.seek(0)
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:
        raise ValueError(f"it is damaged ({error})") from error
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        codes = array.reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:  # Python would fail on them later
            raise ValueError("its texts contain invalid characters")
    return array


def check_npy(file: BinaryIO, size: int) -> None:
    """Check the header of an NPY file; parameters and errors as in `read_npy`."""
    try:
        version = np.lib.format.read_magic(file)
        read_header = _HEADERS.get(version, _HEADERS[2, 0])
        shape, _, dtype = read_header(file)
    except Exception as error:  # numpy parses the header as Python, which raises many errors
        raise ValueError(f"it is no NPY file, or its header is damaged ({error})") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects (allow_pickle is off)")
    # Python's integers do not overflow; a value of zero bytes counts as one
    claimed = math.prod(map(int, shape)) * max(dtype.itemsize, 1)
    if min(shape, default=0) < 0 or claimed > size:
        raise ValueError(
            f"its header claims the shape {shape!r:.80} of {dtype}, more than it holds"
        )
