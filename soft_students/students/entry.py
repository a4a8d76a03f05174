"""What the catalogue says of a student."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator


class ImportedClass:
    """An attribute that holds a class, or says where it is until it is asked for."""

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
        What the command line and bundles call it.
    classifier, regressor : type, str or None
        The two estimator classes; None where the student has no such. ``"package.module:Class"``
        is imported when it is asked for: of a class whose import takes seconds.
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
    classifier: ImportedClass = ImportedClass()
    regressor: ImportedClass = ImportedClass()
    # these descriptors give no default, which mypy does not see
    summary: str  # type: ignore[misc]
    image_settings: Callable[[tuple[int, ...], int], dict[str, Any]] | None = None
    extra: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, which are not imported for it."""
        held = (self.__dict__["_classifier"], self.__dict__["_regressor"])
        return tuple(
            value.rpartition(":")[2] if isinstance(value, str) else value.__name__
            for value in held
            if value is not None
        )

    @property
    def is_installed(self) -> bool:
        """Whether the packages that the student needs are there."""
        return self.extra is None or importlib.util.find_spec(self.extra) is not None
