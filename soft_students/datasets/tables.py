"""Loads CSV and Parquet files with one column to predict, by pandas (extra ``tables``)."""

from __future__ import annotations

import csv
import importlib
import io
import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from soft_students.choices import did_you_mean, listed
from soft_students.datasets.dataset import Dataset, Task
from soft_students.datasets.tabular import as_float32, build_dataset, check_finite
from soft_students.datasets.unfit_columns import unfit_column
from soft_students.persistence.arrays import open_npz, read_npy

if TYPE_CHECKING:
    import pandas as pd


#: Columns whose values a message shows.
_COLUMNS_TOLD = 3

_MAX_COLUMNS = 2**15  # pandas takes a fraction of a millisecond for each
_MAX_HEADER_BYTES = 2**24
_MAX_LABEL_CHARACTERS = 2**26  # labels times longest label: the size of numpy's fixed-width array

#: Upper bound for files: values per byte, plus a number of values for any file.
_VALUES_PER_BYTE, _VALUES_FREE = 4, 2**22
#: Values per byte of Parquet files, where equal values take almost no space.
_PACKED_VALUES_PER_BYTE = 25


def load_table(path: Path, *, target: str | None, task: Task | None) -> Dataset:
    """Load a Parquet file, or a CSV file (UTF-8, commas, column names in the first line)."""
    frame = _READERS[path.suffix.lower()](path)
    X, y, target, names = _features_and_target(path, frame, target)
    return build_dataset(
        path,
        (X, y),
        None,
        target=target,
        feature_names=names,
        task=task,
    )


def load_rows(
    source: str | os.PathLike[str] | BinaryIO, columns: Sequence[str] | None = None
) -> pd.DataFrame | np.ndarray:
    """Load rows without a target, to predict on.

    Parameters
    ----------
    source : path-like or binary file object
        A CSV or Parquet file, or an array: NPY, or NPZ with the array ``X``. A file object must
        contain CSV.
    columns : sequence of str, default=None
        Columns of a table to return, in this order, as float32. None: all, unconverted.

    Returns
    -------
    DataFrame, or ndarray of shape (n_samples, n_features)

    Raises
    ------
    OSError, ValueError, ImportError
        If the file is missing, damaged or of another kind, lacks a column, or needs the extra
        ``tables``.
    """
    if not isinstance(source, (str, os.PathLike)):
        path = Path("standard input")
        return _select(path, _read_csv(path, source.read()), columns)
    path = Path(source)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    if suffix in _READERS:
        return _select(path, _READERS[suffix](path), columns)
    if suffix not in (".npy", ".npz"):
        raise ValueError(f"'{path}' must be a file .csv, .parquet, .npz or .npy.")
    try:
        # By content, whatever the suffix.
        if zipfile.is_zipfile(path):
            with open_npz(path) as arrays:
                rows = arrays["X"]
        else:
            with path.open("rb") as file:
                rows = read_npy(file, path.stat().st_size)
    except KeyError:
        raise ValueError(f"'{path}' has no array 'X'.") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"'{path}' cannot be read as an array: {error}") from error
    if rows.ndim != 2:
        raise ValueError(f"'{path}' must hold an array of 2 dimensions. Got {rows.ndim}.")
    return rows


def _select(path: Path, frame: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    if columns is None:
        return frame
    pd = _needs("pandas", "tables")
    frame = frame.rename(columns=str)
    names = list(columns)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(
            f"'{path}' lacks {len(missing)} of the columns that the student was trained on: "
            f"{listed(missing)}. It has: {listed(list(frame.columns))}."
        )
    return pd.DataFrame(_features(path, frame[names]), columns=names)


def _needs(module: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"Reading {what} needs {module}. Install it with: pip install 'soft-students[tables]'"
        ) from error


def _read_csv(path: Path, content: bytes | None = None) -> pd.DataFrame:
    """Read a CSV file, or its content if given."""
    pd = _needs("pandas", "CSV files")

    def source() -> Path | io.BytesIO:
        return path if content is None else io.BytesIO(content)

    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    options: dict[str, Any] = {"encoding": "utf-8-sig", "low_memory": False}
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as file:
            _check_size(path, file)
        # The names are read separately, since pandas renames duplicates in a table.
        header = pd.read_csv(source(), header=None, nrows=1, dtype=str, na_filter=False, **options)
        _check_names(path, header.iloc[0].tolist())
        with warnings.catch_warnings():
            # Rows longer than the header would otherwise shift by one column, or lose the last
            # value, without an error.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(source(), index_col=False, **options)
        # pandas takes words such as NA and None for missing values; in text only an empty cell is.
        text = [name for name in frame.columns if _is_text(frame[name])]
        return frame.assign(**_read_text(source(), text)) if text else frame
    except pd.errors.EmptyDataError:
        raise ValueError(f"'{path}' is empty. A CSV file needs a line of column names.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is not UTF-8 text ({error}). Save it as UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ValueError(
            f"'{path}' is not a regular CSV file: {str(error).strip()} Every row needs as many "
            "values, separated by commas, as there are column names."
        ) from error


def _is_text(column: pd.Series) -> bool:
    """Tell whether a column holds texts, not numbers or truth values alone."""
    return column.dtype.kind not in "biufM" and any(isinstance(cell, str) for cell in column)


def _read_text(source: Path | io.BytesIO, columns: list[str]) -> dict[str, pd.Series]:
    """Read columns of a CSV file as they are written; only an empty cell is missing."""
    frame = _needs("pandas", "CSV files").read_csv(
        source,
        usecols=columns,
        dtype=object,
        keep_default_na=False,
        na_values=[""],
        encoding="utf-8-sig",
    )
    return {name: frame[name] for name in columns}


def _read_parquet(path: Path) -> pd.DataFrame:
    types = _needs("pyarrow", "Parquet files").types
    _needs("pandas", "Parquet files")
    parquet = importlib.import_module("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            schema, about = file.schema_arrow, file.metadata
    except Exception as error:  # a damaged file raises more than pyarrow's own errors
        raise _unreadable_parquet(path, error) from error
    texts = _check_packed(path, schema, about, types)
    try:
        # Text stays dictionary-encoded: a small file can repeat a long text many times.
        table = parquet.read_table(path, read_dictionary=texts, use_threads=False)
        return table.to_pandas(use_threads=False)
    except Exception as error:  # as above; the file also contains metadata for pandas
        raise _unreadable_parquet(path, error) from error


def _unreadable_parquet(path: Path, error: Exception) -> ValueError:
    return ValueError(f"'{path}' cannot be read as a Parquet file: {error}")


def _check_packed(path: Path, schema: Any, about: Any, types: Any) -> list[str]:
    """Raise if a Parquet file would unpack to far more than its size; return its text columns."""
    _check_columns(path, len(schema.names))
    _check_names(path, schema.names)
    nested = [field.name for field in schema if types.is_nested(field.type)]
    if nested:
        raise ValueError(
            f"The columns of '{path}' must hold one value per row. Not so: {listed(nested)}. "
            "Flatten or remove them."
        )
    size = path.stat().st_size
    n_values = about.num_rows * about.num_columns
    if n_values > _PACKED_VALUES_PER_BYTE * size + _VALUES_FREE:
        raise ValueError(
            f"'{path}' claims {about.num_rows} rows of {about.num_columns} columns, far more than "
            f"{size} bytes can hold."
        )
    return [
        field.name
        for field in schema
        if types.is_string(field.type) or types.is_large_string(field.type)
    ]


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def _check_size(path: Path, file: BinaryIO) -> None:
    """Raise if a CSV file would become a table with far more values than its size allows."""
    # The csv module finds the end of the first row, where quoted names can contain line breaks.
    start = io.TextIOWrapper(
        io.BytesIO(file.read(_MAX_HEADER_BYTES)), encoding="utf-8", errors="replace", newline=""
    )
    try:
        n_columns = len(next((row for row in csv.reader(start) if row), []))
    except csv.Error as error:
        raise ValueError(f"'{path}' is not a regular CSV file: {error}.") from error
    _check_columns(path, n_columns)
    file.seek(0)
    n_rows = n_bytes = 0
    while block := file.read(2**20):
        n_bytes += len(block)
        n_rows += block.count(b"\n") + block.count(b"\r")
    # pandas fills short rows with missing values of eight bytes each.
    if n_rows * n_columns > _VALUES_PER_BYTE * n_bytes + _VALUES_FREE:
        raise ValueError(
            f"'{path}' is not a regular CSV file: {n_bytes} bytes are too few for {n_rows} rows of "
            f"{n_columns} columns. Every row needs as many values as there are column names."
        )


def _check_columns(path: Path, n_columns: int) -> None:
    if n_columns > _MAX_COLUMNS:
        raise ValueError(
            f"'{path}' has {n_columns} columns; a table may have up to {_MAX_COLUMNS}. Save its "
            "numbers as an array, with numpy.savez."
        )


def _check_names(path: Path, names: Sequence[str]) -> None:
    unnamed = [str(i + 1) for i, name in enumerate(names) if not name.strip()]
    if unnamed:
        raise ValueError(
            f"Every column of '{path}' must have a name; number {', '.join(unnamed)} has none. "
            "Name it, or remove it if it is an index (pandas: to_csv(..., index=False))."
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(
            f"The column names of '{path}' must differ; {listed(twice)} occurs more than once. "
            "Rename or remove columns."
        )


def _features_and_target(
    path: Path, frame: pd.DataFrame, target: str | None
) -> tuple[np.ndarray, np.ndarray, str, list[str]]:
    frame = frame.rename(columns=str)
    columns = list(frame.columns)
    if target is None:
        raise ValueError(
            f"The target column of '{path}' must be named: pass target= (on the command line: "
            f"--target). Columns: {listed(columns)}."
        )
    if target not in columns:
        raise ValueError(
            f"'{path}' has no column {target!r} for the target.{did_you_mean(columns, target)} "
            f"Columns: {listed(columns)}."
        )
    names = [name for name in columns if name != target]
    if not names:
        raise ValueError(
            f"'{path}' must have at least one column besides the target {target!r}. Check that "
            "its values are separated by commas."
        )
    if frame.empty:
        raise ValueError(f"'{path}' has column names but no rows.")
    return _features(path, frame[names]), _target(path, frame[target]), target, names


def _features(path: Path, frame: pd.DataFrame) -> np.ndarray:
    # numpy's kinds, which pandas' nullable types (Int64, boolean, Float32) have as well.
    text = [str(name) for name, dtype in frame.dtypes.items() if dtype.kind not in "biuf"]
    if text:
        each = " ".join(unfit_column(frame[name]) for name in text[:_COLUMNS_TOLD])
        raise ValueError(
            f"The features of '{path}' must be numbers. Not so: {listed(text)}. {each}"
        )
    X = np.empty(frame.shape, dtype=np.float32)
    for i, name in enumerate(frame.columns):
        column = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        check_finite(column, f"The column {name!r} of '{path}'")
        X[:, i] = as_float32(column, f"The column {name!r} of '{path}'")
    return X


def _target(path: Path, column: pd.Series) -> np.ndarray:
    what = f"The target {column.name!r} of '{path}'"
    missing = np.flatnonzero(column.isna())
    if len(missing):
        words = set()
        if path.suffix.lower() == ".csv":
            written = _read_text(path, [str(column.name)])[str(column.name)]
            words = set(written.iloc[missing].dropna())
        quoted = f" ({listed(sorted(words), 5)})" if words else ""
        advice = "; among numbers, a class needs another name" if words else ""
        raise ValueError(
            f"{what} has no value{quoted} in {len(missing)} of {len(column)} rows, first in row "
            f"{missing[0] + 1}. Remove or complete such rows{advice}."
        )
    if column.dtype.name == "category":
        _check_labels(column.cat.categories, len(column), what)
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind == "b":
        return column.to_numpy(dtype=np.bool_)
    if column.dtype.kind in "iuf":
        return column.to_numpy(dtype=f"{column.dtype.kind}8")
    values = column.to_numpy(dtype=object)
    other = next((value for value in values if not isinstance(value, (str, bool, int))), None)
    if other is not None:
        raise ValueError(f"{what} must hold numbers or text. Got {type(other).__name__}.")
    _check_labels(values, len(values), what)
    return values.astype(str)


def _check_labels(labels: Iterable[object], n_rows: int, what: str) -> None:
    longest = max((len(str(label)) for label in labels), default=0)
    if longest * n_rows > _MAX_LABEL_CHARACTERS:
        raise ValueError(f"{what} has a label of {longest} characters. Shorten it.")
