"""One safe, numbered file format for students, and the one way files are written."""

from soft_students.persistence.atomic import atomic_write
from soft_students.persistence.errors import BundleError
from soft_students.persistence.students import Bundled, dumps, load, loads, save, trained_on

__all__ = [
    "BundleError",
    "Bundled",
    "atomic_write",
    "dumps",
    "load",
    "loads",
    "save",
    "trained_on",
]
