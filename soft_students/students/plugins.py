"""Students of other packages, found by entry points."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

from soft_students.students.entry import StudentEntry

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: The group of entry points; each loads a `soft_students.students.StudentEntry`.
GROUP = "soft_students.students"


@functools.cache
def loaded_entries() -> tuple[tuple[str, StudentEntry], ...]:
    """Return the entries of other packages, loaded once per process.

    An entry that cannot be loaded is skipped, with a warning that names its package.

    Returns
    -------
    tuple of (str, StudentEntry)
        Package and entry, sorted by the names of packages and entry points, independent of the
        order of installation.
    """
    from importlib.metadata import entry_points  # only for callers who list students

    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (package(point), point.name)):
        try:
            entry = point.load()
            _check(entry)
        except Exception as error:  # an import can raise any exception
            warnings.warn(
                f"The student {point.name!r} of the package {package(point)} is skipped: "
                f"{point.value} cannot be used ({type(error).__name__}: {error}). Upgrade the "
                "package, or uninstall it.",
                stacklevel=3,
            )
            continue
        found.append((package(point), entry))
    return tuple(found)


def package(point: EntryPoint) -> str:
    """Return name and version of an entry point's distribution."""
    return "(unknown)" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _check(entry: Any) -> None:
    if not isinstance(entry, StudentEntry):
        raise TypeError(f"it is of type {type(entry).__name__}, not a StudentEntry")
    if not (isinstance(entry.name, str) and entry.name.isidentifier()):
        raise ValueError(f"its name {entry.name!r} is not an identifier")
    if not entry.classes:
        raise ValueError("it has neither a classifier nor a regressor")
    from sklearn.base import BaseEstimator  # loaded by the plugin already

    for cls in entry.classes:
        if not (isinstance(cls, type) and issubclass(cls, BaseEstimator)):
            raise TypeError(f"{cls!r} is not a class of scikit-learn estimators")
