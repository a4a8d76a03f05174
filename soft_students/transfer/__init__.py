"""Transfer sets: new rows made from the training rows, for the teacher to label."""

from soft_students.transfer.base import Transfer
from soft_students.transfer.images import ImageDistortion
from soft_students.transfer.marginal import MarginalResample
from soft_students.transfer.mixup import Mixup
from soft_students.transfer.munge import Munge
from soft_students.transfer.noise import GaussianNoise

#: Transfer sets by their name on the command line. Bundles store the names of the classes.
TRANSFERS: dict[str, type[Transfer]] = {
    "image": ImageDistortion,
    "marginal": MarginalResample,
    "mixup": Mixup,
    "munge": Munge,
    "noise": GaussianNoise,
}

__all__ = [
    "TRANSFERS",
    "GaussianNoise",
    "ImageDistortion",
    "MarginalResample",
    "Mixup",
    "Munge",
    "Transfer",
]
