"""Distil a neural teacher into a small, fast, readable scikit-learn student."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from soft_students.students.registry import exported

if TYPE_CHECKING:
    from soft_students.students import DistilledClassifier, DistilledRegressor
    from soft_students.students.files import load, save
    from soft_students.teachers import as_teacher

__version__ = "0.1.0"

# Imported at first use: a fitted student predicts without torch, whose import takes seconds.
_MODULES = exported() | {
    "DistilledClassifier": "soft_students.students",
    "DistilledRegressor": "soft_students.students",
    "as_teacher": "soft_students.teachers",
    "load": "soft_students.students.files",
    "save": "soft_students.students.files",
}

__all__ = [
    "DistilledClassifier",
    "DistilledRegressor",
    "__version__",
    "as_teacher",
    "load",
    "save",
    *sorted(exported()),
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
