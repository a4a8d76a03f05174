"""Entries of the catalogue of students."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
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
    learns : str, default=""
        Its training on soft targets, in one line.
    extra : str or None, default=None
        The extra of soft-students that training needs, named like its package.
    from_parts : {"fit", "fit_xgboost"} or None, default=None
        How it is trained on `LabelledParts`, which may be larger than memory: by its `fit`, by
        :func:`soft_students.dask.fit_xgboost`, or not at all.
    """

    name: str
    classifier: ImportedClass = ImportedClass()
    regressor: ImportedClass = ImportedClass()
    # these descriptors give no default, which mypy does not see
    summary: str  # type: ignore[misc]
    learns: str = ""
    extra: str | None = None
    from_parts: Literal["fit", "fit_xgboost"] | None = None

    @property
    def classes(self) -> list[type[BaseEstimator]]:
        """The classifier and the regressor, imported; only those that exist."""
        return [cls for cls in (self.classifier, self.regressor) if cls is not None]

    @property
    def addresses(self) -> dict[str, tuple[str, str] | None]:
        """Module and name of the "classifier" and the "regressor", or None; nothing is imported."""
        found: dict[str, tuple[str, str] | None] = {}
        for kind in ("classifier", "regressor"):
            value = self.__dict__[f"_{kind}"]
            if isinstance(value, str):
                module, _, name = value.partition(":")
                found[kind] = (module, name)
            else:
                found[kind] = None if value is None else (value.__module__, value.__name__)
        return found

    @property
    def modules(self) -> dict[str, str]:
        """The module of each class, by the class's name; nothing is imported."""
        return {found[1]: found[0] for found in self.addresses.values() if found is not None}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, without importing them."""
        return tuple(self.modules)

    @property
    def is_installed(self) -> bool:
        """Whether the packages that the student needs are installed."""
        return self.extra is None or importlib.util.find_spec(self.extra) is not None

    def image_settings(self, image_shape: tuple[int, ...], n_rows: int) -> dict[str, Any]:
        """Return the constructor parameters for images that differ from the defaults.

        They come from ``_image_settings(image_shape, n_rows)`` of the class.

        Parameters
        ----------
        image_shape : tuple of int
            (height, width) or (channels, height, width).
        n_rows : int
            Number of training rows.
        """
        settings = getattr(self.classes[0], "_image_settings", None)
        return {} if settings is None else settings(image_shape, n_rows)
