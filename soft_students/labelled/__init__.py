"""Rows in files and a teacher's answers to them, part by part: more than memory holds."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.labelled.label import Labelling, label_parts
    from soft_students.labelled.labelling import TeacherFile
    from soft_students.labelled.parts import LabelledPart, LabelledParts

# Imported at first use: students read parts without the packages that labelling needs.
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
