"""Columns of a pandas DataFrame: conversion between categories and codes."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from soft_students.datasets.unfit_columns import content_of, unfit_column


@dataclass(frozen=True)
class Columns:
    """The columns of the DataFrame that a student was trained on.

    Parameters
    ----------
    names : list
        Names of all columns.
    categories : list of (ndarray or None)
        Categories of each column, in the order of their codes; None for a column of numbers.
    ordered : list of bool
        Whether the categories of each column are ordered.
    """

    names: list[Hashable]
    categories: list[np.ndarray | None]
    ordered: list[bool]

    @classmethod
    def of(cls, frame: Any, student: str) -> Self:
        """Return the columns of a DataFrame.

        Parameters
        ----------
        frame : DataFrame
        student : str
            Name of the student, for messages.

        Returns
        -------
        Columns

        Raises
        ------
        ValueError
            If a column is neither numeric nor of the dtype ``category``, its categories are neither
            text nor integers, or two columns have the same name.
        """
        twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        if twice:
            raise ValueError(
                f"{student} got several columns named {', '.join(map(repr, twice))}. Rename them, "
                "or pass X.to_numpy()."
            )
        # columns of numpy's numbers need no check, and may be many
        special = {
            i: frame.iloc[:, i]
            for i, dtype in enumerate(frame.dtypes)
            if not (isinstance(dtype, np.dtype) and dtype.kind in "biuf")
        }
        unfit = {str(each.name): each for each in special.values() if not _is_fit(each)}
        if unfit:
            raise ValueError(
                f"{student} takes columns of numbers and of the dtype 'category', but X has "
                f"{', '.join(f'{name!r} of dtype {each.dtype}' for name, each in unfit.items())}. "
                f"{_advice(unfit)}"
            )
        categories: list[np.ndarray | None] = [None] * frame.shape[1]
        ordered = [False] * frame.shape[1]
        for i, column in special.items():
            if _is_category(column):
                categories[i] = _labels(column.name, column.cat.categories)
                ordered[i] = bool(column.cat.ordered)
        return cls(list(frame.columns), categories, ordered)

    @property
    def is_categorical(self) -> np.ndarray:
        """Mask of the categorical columns: an ndarray of bool."""
        return np.array([categories is not None for categories in self.categories])

    def categorical_names(self) -> list[str]:
        """Return the names of the categorical columns."""
        return [str(self.names[i]) for i in np.flatnonzero(self.is_categorical)]

    def codes(self, frame: Any) -> Any:
        """Replace categories by codes.

        Parameters
        ----------
        frame : DataFrame
            Columns as in training. A categorical column may also contain the plain values.

        Returns
        -------
        DataFrame
            Codes; NaN where a value is missing or was no category in training.

        Raises
        ------
        ValueError
            If values are of another type than the categories (e.g. numbers instead of text), or a
            column of numbers is now categorical.
        """
        import pandas as pd

        coded = frame.copy(deep=False)
        for i, known in enumerate(self.categories):
            column, name = frame.iloc[:, i], self.names[i]
            if known is None:
                if _is_category(column):
                    raise ValueError(
                        f"The column {name!r} contained numbers in training, but now has the dtype "
                        "'category'. Convert it to numbers."
                    )
                continue
            values = column if _is_category(column) else column.astype("category")
            given = values.cat.categories
            text = _are_text(np.array(given.tolist()))
            if len(known) and len(given) and text != _are_text(known):
                raise ValueError(
                    f"The column {name!r} contained categories such as {known.tolist()[0]!r} in "
                    f"training, but now contains {given.tolist()[0]!r}. Convert it."
                )
            position = pd.Index(known, dtype=object).get_indexer(given.astype(object))
            found = np.append(position, -1)[values.cat.codes]  # -1 means missing in both
            coded[frame.columns[i]] = np.where(found < 0, np.nan, found)
        return coded

    def frame(self, rows: np.ndarray) -> Any:
        """Convert rows with codes to a DataFrame like the one in training.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features)

        Returns
        -------
        DataFrame
            Columns of numbers have the dtype of `rows`.

        Raises
        ------
        ValueError
            If a code has no category.
        """
        import pandas as pd

        frame = pd.DataFrame(rows, columns=pd.Index(self.names))
        for i, known in enumerate(self.categories):
            if known is None:
                continue
            codes = np.where(np.isnan(rows[:, i]), -1, rows[:, i])
            wrong = codes[~np.isin(codes, np.arange(-1, len(known)))]
            if wrong.size:
                raise ValueError(
                    f"{wrong[0]:g} is no category of the column {self.names[i]!r}, which has "
                    f"{len(known)}, numbered from 0. A transfer set may only use existing values "
                    "in the columns of `categorical`."
                )
            labels = pd.Index(known.tolist() if known.dtype == object else known)
            frame[self.names[i]] = pd.Categorical.from_codes(
                codes.astype(np.intp), categories=labels, ordered=self.ordered[i]
            )
        return frame

    def state(self) -> dict[str, Any]:
        """Return what a bundle keeps: the categories, and the names of all columns."""
        return {"categories": self.categories, "ordered": self.ordered}

    @classmethod
    def restored(cls, state: Any, names: list[Hashable]) -> Self:
        """Check and restore the result of `state`.

        Parameters
        ----------
        state : object
            Untrusted metadata of a bundle.
        names : list
            Names of the columns.

        Returns
        -------
        Columns

        Raises
        ------
        ValueError
            If it is no valid state of as many columns.
        """
        categories, ordered = state["categories"], state["ordered"]
        if not (type(categories) is list and type(ordered) is list):
            raise ValueError("categories and ordered must be lists")
        if not len(categories) == len(ordered) == len(names):
            raise ValueError(f"categories and ordered must have {len(names)} entries")
        for known, order in zip(categories, ordered, strict=True):
            if type(order) is not bool or not (known is None or _are_labels(known)):
                raise ValueError("categories must be arrays of distinct integers or strings")
        return cls(names, categories, ordered)


def is_frame(X: Any) -> bool:
    """Return whether `X` is a pandas DataFrame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def _advice(unfit: dict[str, Any]) -> str:
    """Return what to do about columns that are neither numbers nor categories."""
    text = {name: "category" for name, column in unfit.items() if content_of(column) == "text"}
    advice = [unfit_column(column) for name, column in unfit.items() if name not in text]
    if text:
        advice.append(
            f"Convert categories, e.g. with X.astype({text}), or encode them in a Pipeline, with "
            "OneHotEncoder or OrdinalEncoder."
        )
    return " ".join(advice)


def _is_category(column: Any) -> bool:
    return column.dtype.name == "category"


def _is_fit(column: Any) -> bool:
    from pandas.api.types import infer_dtype, is_numeric_dtype

    if column.dtype == object:  # numbers are allowed, as in an array of objects
        return infer_dtype(column, skipna=True) in (
            "integer",
            "floating",
            "mixed-integer-float",
            "boolean",
            "decimal",
            "empty",
        )
    return _is_category(column) or is_numeric_dtype(column.dtype)


def _labels(name: Hashable, categories: Any) -> np.ndarray:
    values = categories.tolist()
    if not values:  # every value is missing
        return np.array([], dtype=np.int64)
    if all(type(value) is str for value in values):
        # as objects: in a fixed-width array, the longest string would set the width of all
        return np.array(values, dtype=object)
    if all(type(value) is int for value in values):
        return np.array(values)
    raise ValueError(
        f"The categories of the column {name!r} must be text, or integers. Got {values[0]!r:.60}. "
        f"Rename them, e.g. by X[{name!r}].cat.rename_categories(str)."
    )


def _are_labels(known: Any) -> bool:
    if not (isinstance(known, np.ndarray) and known.ndim == 1 and known.dtype.kind in "iuUO"):
        return False
    return len(set(known.tolist())) == len(known)


def _are_text(labels: np.ndarray) -> bool:
    return labels.dtype.kind in "UO"
