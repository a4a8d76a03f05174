"""Transfer sets: new rows made from the training rows, for the teacher to label."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.transfer.base import Transfer

    #: The classes of transfer sets by name; bundles hold those of the classes.
    TRANSFERS: dict[str, type[Transfer]]

#: Class and module of each transfer set, by its name on the command line. They are imported at
#: first use, so that names are listed without numpy and scikit-learn.
_TRANSFERS = {
    "image": ("ImageDistortion", "soft_students.transfer.images"),
    "marginal": ("MarginalResample", "soft_students.transfer.marginal"),
    "mixup": ("Mixup", "soft_students.transfer.mixup"),
    "munge": ("Munge", "soft_students.transfer.munge"),
    "noise": ("GaussianNoise", "soft_students.transfer.noise"),
}

TRANSFER_NAMES = tuple(_TRANSFERS)

_MODULES = {"Transfer": "soft_students.transfer.base", **dict(_TRANSFERS.values())}

__all__ = ["TRANSFERS", *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name == "TRANSFERS":
        return {key: __getattr__(class_name) for key, (class_name, _) in _TRANSFERS.items()}
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
