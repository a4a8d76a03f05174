"""File formats (bundles, tensors, checkpoints) and the atomic writing of files.

Students are read and written by `soft_students.load` and `soft_students.save`.
"""

from soft_students.persistence.atomic import atomic_write
from soft_students.persistence.errors import BundleError

__all__ = ["BundleError", "atomic_write"]
