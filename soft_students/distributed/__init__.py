"""Training on more rows, or processes, than one machine's memory or one process hold."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.distributed.boosting import fit_xgboost
    from soft_students.distributed.label import Labelling, label_parts
    from soft_students.distributed.labelling import TeacherFile
    from soft_students.distributed.parts import LabelledPart, LabelledParts

# Imported at first use: Dask is an extra, and its import takes a second.
_HOMES = {
    "Labelling": "soft_students.distributed.label",
    "TeacherFile": "soft_students.distributed.labelling",
    "label_parts": "soft_students.distributed.label",
    "LabelledPart": "soft_students.distributed.parts",
    "LabelledParts": "soft_students.distributed.parts",
    "fit_xgboost": "soft_students.distributed.boosting",
}

__all__ = [
    "LabelledPart",
    "LabelledParts",
    "Labelling",
    "TeacherFile",
    "fit_xgboost",
    "label_parts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
