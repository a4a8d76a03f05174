"""What the catalogue says of a student."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class StudentEntry:
    """One student of the catalogue.

    Parameters
    ----------
    name : str
        What the command line and bundles call it.
    classifier, regressor : type or None
        The two estimator classes; None where the student has no such.
    summary : str
        What it is good for, in one line.
    image_settings : callable or None
        Maps (image_shape, n_rows) to constructor parameters that suit images, where the defaults
        do not.
    extra : str or None
        The extra of soft-students, named as the package in it, that the student cannot train
        without.
    """

    name: str
    classifier: type[BaseEstimator] | None
    regressor: type[BaseEstimator] | None
    summary: str
    image_settings: Callable[[tuple[int, ...], int], dict[str, Any]] | None = None
    extra: str | None = None

    @property
    def is_installed(self) -> bool:
        """Whether the packages that the student needs are there."""
        return self.extra is None or importlib.util.find_spec(self.extra) is not None
