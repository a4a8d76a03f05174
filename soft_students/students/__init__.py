"""Students: scikit-learn estimators with `fit(X, teacher)`."""

import importlib
from typing import TYPE_CHECKING, Any

from soft_students.students.entry import StudentEntry
from soft_students.students.registry import available, exported, get_student

if TYPE_CHECKING:
    from soft_students.students.distilled import DistilledClassifier, DistilledRegressor

# Classes are imported at first use: scikit-learn, XGBoost and torch take seconds.
_MODULES = exported() | dict.fromkeys(
    ("DistilledClassifier", "DistilledRegressor"), "soft_students.students.distilled"
)

__all__ = [
    "DistilledClassifier",
    "DistilledRegressor",
    "StudentEntry",
    "available",
    "get_student",
    *sorted(exported()),
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
