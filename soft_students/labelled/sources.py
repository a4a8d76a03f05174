"""Readers of files larger than memory: Parquet by row group, NPY by memory map, Zarr by chunk."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from soft_students.choices import listed
from soft_students.datasets.tabular import as_float32
from soft_students.persistence.arrays import check_npy

#: Bytes read from a column of a Parquet file at a time: whole row groups may exceed memory.
_PARQUET_BUFFER = 2**18


class Source(ABC):
    """Reader of the rows of one file.

    Attributes
    ----------
    path : Path
    n_rows : int
    names : list of str or None
        Names of the columns; None for an array.
    n_columns : int
    """

    path: Path
    n_rows: int
    names: list[str] | None
    n_columns: int

    @abstractmethod
    def _ends(self, rows: int) -> list[int]:
        """Return the rows, up to `n_rows`, at which a part of about `rows` rows may end."""

    @abstractmethod
    def batches(
        self, start: int, stop: int, rows: int, columns: Sequence[str] | None
    ) -> Iterator[np.ndarray]:
        """Yield features in batches of at most `rows` rows.

        Parameters
        ----------
        start, stop : int
            Range of rows, from `cuts`.
        rows : int
        columns : sequence of str or None
            Names of the features, in order. None takes all columns of an array.

        Yields
        ------
        ndarray of float32, shape (n, n_features)
        """

    def cuts(self, rows: int) -> list[int]:
        """Return the rows 0, ..., `n_rows` at which parts of about `rows` rows begin and end."""
        cuts = [0]
        for end in self._ends(rows):
            if end - cuts[-1] >= rows or cuts[-1] < end == self.n_rows:
                cuts.append(end)
        return cuts

    def column(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return the values of one column."""
        raise ValueError(f"'{self.path}' is an array, whose columns have no names. Got {name!r}.")


class ParquetSource(Source):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._arrow = _needs("pyarrow", "Parquet files")
        self._parquet = _needs("pyarrow.parquet", "Parquet files")
        self.path = path
        with self._reading(), self._open() as file:
            metadata, schema = file.metadata, file.schema_arrow
        self.n_rows = metadata.num_rows
        self.names, self._types = schema.names, schema.types
        self.n_columns = len(self.names)
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._group_ends = np.cumsum(groups, dtype=np.int64).tolist()
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(
                f"The column names of '{path}' must be unique. Got {listed(twice)} more than once."
            )

    def check_numbers(self, columns: Sequence[str]) -> None:
        """Raise ValueError if a feature is not numeric."""
        types = self._arrow.types
        numeric = (types.is_integer, types.is_floating, types.is_boolean)
        kind = dict(zip(self.names or (), self._types, strict=True))
        text = [name for name in columns if not any(is_kind(kind[name]) for is_kind in numeric)]
        if text:
            raise ValueError(
                f"The features of '{self.path}' must be numbers. Not numeric: {listed(text)}. "
                "Encode them as numbers or leave the columns out."
            )

    def batches(
        self, start: int, stop: int, rows: int, columns: Sequence[str] | None
    ) -> Iterator[np.ndarray]:
        """Decode the row groups in batches of at most `rows` rows."""
        names = list(self.names or ()) if columns is None else list(columns)
        self.check_numbers(names)
        for batch in self._record_batches(start, stop, rows, names):
            # write columns contiguously and transpose once, for fewer scattered writes
            turned = np.empty((len(names), batch.num_rows), dtype=np.float32)
            for i, name in enumerate(names):
                values = batch.column(name).to_numpy(zero_copy_only=False)
                if values.dtype == object:  # booleans with missing values
                    values = values.astype(np.float64)
                turned[i] = _float32(values, f"The column {name!r} of '{self.path}'")
            yield np.ascontiguousarray(turned.T)

    def column(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return the values of one column; raise ValueError if values are missing."""
        if name not in (self.names or ()):
            raise ValueError(f"'{self.path}' has no column {name!r}. It has: {self._listed()}.")
        found = []
        for batch in self._record_batches(start, stop, 2**16, [name]):
            values = batch.column(name)
            if values.null_count:
                raise ValueError(
                    f"The column {name!r} of '{self.path}' has missing values. Fill them in, or "
                    "remove their rows."
                )
            found.append(values.to_numpy(zero_copy_only=False))
        values = np.concatenate(found) if found else np.empty(0)
        return values.astype(str) if values.dtype == object else values

    def _ends(self, rows: int) -> list[int]:
        return self._group_ends

    def _record_batches(self, start: int, stop: int, rows: int, names: list[str]) -> Iterator[Any]:
        starts = [0, *self._group_ends[:-1]]
        groups = [
            i
            for i, (first, end) in enumerate(zip(starts, self._group_ends, strict=True))
            if first >= start and end <= stop
        ]
        if sum(self._group_ends[i] - starts[i] for i in groups) != stop - start:
            raise ValueError(
                f"The row groups of '{self.path}' do not end at the rows {start} and {stop}: the "
                "file has changed. Label it again."
            )
        with self._reading(), self._open() as file:
            yield from file.iter_batches(
                batch_size=rows, row_groups=groups, columns=names, use_threads=False
            )

    def _open(self) -> Any:
        return self._parquet.ParquetFile(self.path, buffer_size=_PARQUET_BUFFER, pre_buffer=False)

    def _reading(self) -> _Reading:
        return _Reading(
            self.path, "a Parquet file", (self._arrow.ArrowException, OSError, UnicodeDecodeError)
        )

    def _listed(self) -> str:
        return listed(self.names or [])


class ArraySource(Source):
    """Base class for NPY files and Zarr arrays: an array of numbers, one row per sample."""

    names = None

    def _take(self, array: Any) -> None:
        if array.dtype.kind not in "biuf" or array.ndim < 2 or 0 in array.shape[1:]:
            raise ValueError(
                f"'{self.path}' must hold real numbers in the shape (rows, features). Got "
                f"{array.dtype} in the shape {tuple(array.shape)}."
            )
        self.n_rows = array.shape[0]
        self.n_columns = int(np.prod(array.shape[1:]))

    def _rows(self, values: np.ndarray) -> np.ndarray:
        values = values.reshape(len(values), -1)
        return np.ascontiguousarray(_float32(values, f"'{self.path}'"))


class NpySource(ArraySource):
    """An NPY file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reading():
            array = self._open()
        self._take(array)

    def batches(
        self, start: int, stop: int, rows: int, columns: Sequence[str] | None
    ) -> Iterator[np.ndarray]:
        """Copy rows from a memory map."""
        for first in range(start, stop, rows):
            with self._reading():
                # map again each time: pages that were read count as memory of the process
                values = self._rows(self._open()[first : min(first + rows, stop)].copy())
            yield values

    def _ends(self, rows: int) -> list[int]:
        return [*range(rows, self.n_rows, rows), self.n_rows]

    def _open(self) -> np.memmap:
        with self.path.open("rb") as file:
            check_npy(file, self.path.stat().st_size)
        return np.lib.format.open_memmap(self.path, mode="r")

    def _reading(self) -> _Reading:
        return _Reading(self.path, "an NPY file", (ValueError, EOFError, OSError))


class ZarrSource(ArraySource):
    """A Zarr array in a local folder."""

    def __init__(self, path: Path) -> None:
        self._zarr = _needs("zarr", "Zarr arrays")
        self.path = path
        with self._reading():
            array = self._open()
        self._take(array)
        self._chunk = (array.shards or array.chunks)[0]

    def batches(
        self, start: int, stop: int, rows: int, columns: Sequence[str] | None
    ) -> Iterator[np.ndarray]:
        """Read whole chunks, and split them into batches."""
        step = max(1, rows // self._chunk) * self._chunk
        array = self._open()
        for first in range(start, stop, step):
            with self._reading():
                chunk = self._rows(np.asarray(array[first : min(first + step, stop)]))
            for row in range(0, len(chunk), rows):
                yield chunk[row : row + rows]

    def _ends(self, rows: int) -> list[int]:
        return [*range(self._chunk, self.n_rows, self._chunk), self.n_rows]

    def _open(self) -> Any:
        return self._zarr.open_array(self.path, mode="r")

    def _reading(self) -> _Reading:
        # damaged metadata and chunks can raise any exception in the codecs
        return _Reading(self.path, "a Zarr array", (Exception,))


class _Reading:
    """Context manager that adds the file's name to a library's errors."""

    def __init__(self, path: Path, what: str, errors: tuple[type[Exception], ...]) -> None:
        self._path, self._what, self._errors = path, what, errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, self._errors) and not isinstance(error, MemoryError):
            cause = " ".join(str(error).split())[:300] or type(error).__name__
            raise ValueError(f"'{self._path}' cannot be read as {self._what}: {cause}") from error


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a Parquet file, an NPY file or the folder of a Zarr array.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Source

    Raises
    ------
    FileNotFoundError
        If the path does not exist.
    ValueError
        If the file is damaged or of another kind.
    ImportError
        If the library for the format is missing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'.")
    if path.is_dir():
        if not any((path / name).exists() for name in ("zarr.json", ".zarray")):
            raise ValueError(
                f"'{path}' is a folder, not a Zarr array. Name the files in it: '{path}/*.parquet'."
            )
        return ZarrSource(path)
    if path.suffix.lower() == ".parquet":
        return ParquetSource(path)
    if path.suffix.lower() == ".npy":
        return NpySource(path)
    raise ValueError(f"'{path}' must be a file .parquet or .npy, or the folder of a Zarr array.")


def identity(path: str | os.PathLike[str]) -> dict[str, int]:
    """Return size and modification time of a file or folder, to detect changes.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    dict of str to int
        ``size``, in bytes, and ``mtime_ns``; of a folder, the sum and the latest of its files.
    """
    path = Path(path)
    files = [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else [path]
    stats = [file.stat() for file in files]
    return {
        "size": sum(stat.st_size for stat in stats),
        "mtime_ns": max(stat.st_mtime_ns for stat in stats),
    }


def _float32(values: np.ndarray, what: str) -> np.ndarray:
    # only wider types can exceed the range of float32
    return as_float32(values, what) if values.dtype.itemsize > 4 else values.astype(np.float32)


def _needs(module: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"Reading {what} needs {module.partition('.')[0]}. Install it with: "
            "pip install 'soft-students[scale]'"
        ) from error
