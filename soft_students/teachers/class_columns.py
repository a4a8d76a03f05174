"""Class probabilities in tables: columns are matched to classes by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def class_columns(outputs: Any) -> list[Any] | None:
    """Return the column names of a table of class probabilities.

    Parameters
    ----------
    outputs : object

    Returns
    -------
    list or None
        None if `outputs` is no table, has one column, or its columns are merely numbered.
    """
    columns = getattr(outputs, "columns", None)
    if columns is None or callable(columns):
        return None
    names = list(columns)
    return None if len(names) < 2 or names == list(range(len(names))) else names


def column_positions(classes: ArrayLike, names: list[Any]) -> list[int] | None:
    """Return the position of the column of each class.

    Labels and names are compared as they are, or else as text: a CSV file has "0" for the class 0.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
    names : list
        Name of each column.

    Returns
    -------
    list of int or None
        None if the columns are not those of the classes.
    """
    labels = np.asarray(classes).tolist()
    for texts, wanted in ((names, labels), (list(map(str, names)), list(map(str, labels)))):
        places = {name: place for place, name in enumerate(texts)}
        if len(places) == len(texts) == len(wanted) and places.keys() == set(wanted):
            return [places[label] for label in wanted]
    return None
