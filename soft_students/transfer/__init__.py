"""On which inputs a student is taught: rows made from the training rows, for the teacher."""

from soft_students.transfer.base import Transfer
from soft_students.transfer.images import ImageDistortion

#: Transfer sets by name; bundles and the command line look them up here.
TRANSFERS: dict[str, type[Transfer]] = {"ImageDistortion": ImageDistortion}

__all__ = ["TRANSFERS", "ImageDistortion", "Transfer"]
