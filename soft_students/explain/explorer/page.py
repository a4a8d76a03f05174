"""Builds the explorer page: one HTML file with a tree and some rows."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from soft_students.explain.explorer.encoding import pack_rows, rows_that_fit, to_script
from soft_students.explain.explorer.trees import check_tree, checked_rows, describe_tree
from soft_students.explain.palette import css_variables
from soft_students.explain.tree_view import readable
from soft_students.persistence import atomic_write

_MOST_ROWS = 200
_ROW_BYTES = 1 << 20  # for all rows together
_SCRIPTS = (
    "data.js",
    "routing.js",
    "wording.js",
    "filters.js",
    "viewport.js",
    "picture.js",
    "panel.js",
    "samples.js",
    "pad.js",
    "controls.js",
)


def explorer_page(
    student: Any,
    *,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
    title: str | None = None,
) -> str:
    """Return an HTML page to explore a tree in a browser.

    The page shows the tree at any magnification, each gate (as a filter image, its largest weights,
    or a rule) and each leaf's output. It routes rows of `X`, or a picture drawn by hand, and
    computes the same probabilities as the student. The page is self-contained and loads nothing.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier, SoftDecisionTreeRegressor, \
DecisionTreeStudentClassifier or DecisionTreeStudentRegressor
        Fitted.
    X : array-like of shape (n_samples, n_features), default=None
        Rows. The width of a branch is the share of rows that take it. The first rows, at most 200
        or 1 MiB, become part of the page, to be routed there. None: no rows.
    y : array-like of shape (n_samples,), default=None
        Labels or values of `X`.
    image_shape, feature_names
        As for :func:`~soft_students.explain.plot_tree`.
    title : str, default=None
        None: the name of the student's class.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If `student` is not a single tree, but a forest, for example.
    sklearn.exceptions.NotFittedError
    ValueError
        If another parameter does not match the student.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.explain import explorer_page
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=5, random_state=0).fit(X, y)
    >>> page = explorer_page(student, X=X, y=y)
    >>> page.startswith("<!doctype html>"), "petal width" in page
    (True, True)
    """
    check_tree(student)
    rows = None if X is None else checked_rows(student, X)
    title = type(student).__name__ if title is None else readable(title)
    data = describe_tree(student, X, rows, image_shape, feature_names)
    data |= {"student": type(student).__name__, "title": title, "rows": None, "labels": None}
    if rows is not None:
        wide = rows.shape[1] * rows.dtype.itemsize
        shown = rows_that_fit(len(rows), wide, most=_MOST_ROWS, budget=_ROW_BYTES)
        data["rows"] = pack_rows(rows[:shown])
        if y is not None:
            data["labels"] = _labels(y, len(rows), shown)
    elif y is not None:
        raise ValueError("y holds the labels of X. Pass X as well, or leave y out.")
    return Template(_asset("page.html")).substitute(
        title=html.escape(title),
        palette=css_variables(),
        style=_asset("page.css"),
        data=to_script(data),
        script="\n".join(_asset(name) for name in _SCRIPTS),
    )


def save_explorer(
    student: Any,
    path: str | os.PathLike[str],
    *,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
    title: str | None = None,
    overwrite: bool = True,
) -> Path:
    """Write :func:`explorer_page` to a file, atomically.

    Parameters
    ----------
    student, X, y, image_shape, feature_names, title
        As for :func:`explorer_page`.
    path : str or path-like
        Must end in ``.html`` or ``.htm``.
    overwrite : bool, default=True
        Whether to replace an existing file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`explorer_page`, or if the path has another suffix.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written. An existing file is then unchanged.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"The path of a page must end in .html. Got '{path}'.")
    page = explorer_page(
        student, X=X, y=y, image_shape=image_shape, feature_names=feature_names, title=title
    )
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(page.encode("utf-8"))
    return path


def _labels(y: ArrayLike, n_rows: int, shown: int) -> list[str]:
    labels = np.asarray(y)
    if len(labels) != n_rows:
        raise ValueError(f"y must hold one label for each of the {n_rows} rows. Got {len(labels)}.")
    return [readable(label) for label in labels[:shown].tolist()]


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
