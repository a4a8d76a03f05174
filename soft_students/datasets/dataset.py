"""The data structure of a data set, whatever its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Task = Literal["classification", "regression"]


class DatasetNotFoundError(OSError):
    """A named data set is not on this machine and could not be fetched.

    Parameters
    ----------
    message : str
    attempts : sequence of (str, str)
        Each place that was tried, and the reason of its failure.
    """

    def __init__(self, message: str, attempts: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.attempts = list(attempts)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test data of one data set.

    Parameters
    ----------
    name : str
        For example ``"mnist"``, or the name of a table's file.
    X_train, X_test : ndarray of shape (n, n_features), float32
        C-contiguous. The rows of an image data set are flattened images in [0, 1].
    y_train, y_test : ndarray of shape (n,)
        Labels, or float64 values if `task` is ``"regression"``.
    classes : ndarray of shape (n_classes,) or None
        All labels, sorted; None for regression.
    feature_names : list of str or None
        Names of a table's columns.
    image_shape : tuple of int or None
        (height, width) if each row is an image.
    source : str
        Description of the file or service that the data came from.
    task : {"classification", "regression"}, default="classification"
    train_rows, test_rows : ndarray of shape (n,) or None
        Number of each row in its file, from 0; None for data with a test set of their own.
    """

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    classes: np.ndarray | None
    feature_names: list[str] | None
    image_shape: tuple[int, ...] | None
    source: str
    task: Task = "classification"
    train_rows: np.ndarray | None = None
    test_rows: np.ndarray | None = None

    def select(self, columns: Sequence[str]) -> Dataset:
        """Return the data with these columns, in this order.

        Parameters
        ----------
        columns : sequence of str
            Names among `feature_names`.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If columns are missing or the data have no names.
        """
        names = list(columns)
        if names == self.feature_names:
            return self
        missing = [name for name in names if name not in (self.feature_names or [])]
        if missing:
            raise ValueError(
                f"{self.name!r} lacks {len(missing)} of the columns that a model was trained on: "
                f"{', '.join(map(repr, missing[:10]))}. It has: "
                f"{', '.join(map(repr, (self.feature_names or [])[:20])) or 'none with names'}."
            )
        order = [(self.feature_names or []).index(name) for name in names]
        return replace(
            self,
            X_train=np.ascontiguousarray(self.X_train[:, order]),
            X_test=np.ascontiguousarray(self.X_test[:, order]),
            feature_names=names,
        )

    def __repr__(self) -> str:
        kind = "regression" if self.classes is None else f"{len(self.classes)} classes"
        return (
            f"<Dataset {self.name!r}: {len(self.X_train)} training and {len(self.X_test)} test "
            f"rows, {self.X_train.shape[1]} features, {kind}; from {self.source}>"
        )
