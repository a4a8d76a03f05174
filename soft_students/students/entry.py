"""Entries of the catalogue of students."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator


class ImportedClass:
    """An attribute that holds a class, or its path until the first access imports it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = f"_{name}"

    def __get__(self, entry: Any, owner: type | None = None) -> type[BaseEstimator] | None:
        if entry is None:
            raise AttributeError("it has no default")
        value = entry.__dict__[self._key]
        if isinstance(value, str):
            module, _, name = value.partition(":")
            value = entry.__dict__[self._key] = getattr(importlib.import_module(module), name)
        return value

    def __set__(self, entry: Any, value: type[BaseEstimator] | str | None) -> None:
        entry.__dict__[self._key] = value


@dataclass(frozen=True)
class StudentEntry:
    """One student of the catalogue.

    Parameters
    ----------
    name : str
        Name on the command line and in bundles.
    classifier, regressor : type, str or None
        The two estimator classes; None if the student lacks one. ``"package.module:Class"`` imports
        the class on first access, for imports that take seconds.
    summary : str
        Its strengths, in one line.
    image_settings : callable or None
        Maps (image_shape, n_rows) to constructor parameters for images; None keeps the defaults.
    extra : str or None
        The extra of soft-students that training needs, named like its package.
    """

    name: str
    classifier: ImportedClass = ImportedClass()
    regressor: ImportedClass = ImportedClass()
    # these descriptors give no default, which mypy does not see
    summary: str  # type: ignore[misc]
    image_settings: Callable[[tuple[int, ...], int], dict[str, Any]] | None = None
    extra: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, without importing them."""
        held = (self.__dict__["_classifier"], self.__dict__["_regressor"])
        return tuple(
            value.rpartition(":")[2] if isinstance(value, str) else value.__name__
            for value in held
            if value is not None
        )

    @property
    def is_installed(self) -> bool:
        """Whether the packages that the student needs are installed."""
        return self.extra is None or importlib.util.find_spec(self.extra) is not None
