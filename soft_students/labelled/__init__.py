"""Rows in files and a teacher's outputs for them, read part by part: larger than memory."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.labelled.label import Labelling, label_parts
    from soft_students.labelled.labelling import TeacherFile
    from soft_students.labelled.parts import LabelledPart, LabelledParts

# imported at first use: reading parts does not need the packages for labelling
_HOMES = {
    "LabelledPart": "soft_students.labelled.parts",
    "LabelledParts": "soft_students.labelled.parts",
    "Labelling": "soft_students.labelled.label",
    "TeacherFile": "soft_students.labelled.labelling",
    "label_parts": "soft_students.labelled.label",
}

__all__ = ["LabelledPart", "LabelledParts", "Labelling", "TeacherFile", "label_parts"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
