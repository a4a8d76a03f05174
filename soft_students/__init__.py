"""Distil a neural teacher into a small, fast, readable scikit-learn student."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.students import (
        DecisionTreeStudentClassifier,
        DecisionTreeStudentRegressor,
        DistilledClassifier,
        DistilledRegressor,
        ExtraTreesStudentClassifier,
        ExtraTreesStudentRegressor,
        GenericStudentClassifier,
        GenericStudentRegressor,
        HistGradientBoostingStudentClassifier,
        HistGradientBoostingStudentRegressor,
        KNeighborsStudentClassifier,
        KNeighborsStudentRegressor,
        LightGBMStudentClassifier,
        LightGBMStudentRegressor,
        LogisticStudentClassifier,
        NeuralStudentClassifier,
        RandomForestStudentClassifier,
        RandomForestStudentRegressor,
        RidgeStudentRegressor,
        SoftDecisionTreeClassifier,
        SoftDecisionTreeRegressor,
        SVMStudentClassifier,
        SVMStudentRegressor,
        XGBoostStudentClassifier,
        XGBoostStudentRegressor,
    )
    from soft_students.students.files import load, save
    from soft_students.teachers import as_teacher

__version__ = "0.1.0"

# Imported at first use: a fitted student predicts without torch, whose import takes seconds.
_HOMES = {
    "DecisionTreeStudentClassifier": "soft_students.students",
    "DecisionTreeStudentRegressor": "soft_students.students",
    "ExtraTreesStudentClassifier": "soft_students.students",
    "ExtraTreesStudentRegressor": "soft_students.students",
    "GenericStudentClassifier": "soft_students.students",
    "GenericStudentRegressor": "soft_students.students",
    "HistGradientBoostingStudentClassifier": "soft_students.students",
    "HistGradientBoostingStudentRegressor": "soft_students.students",
    "KNeighborsStudentClassifier": "soft_students.students",
    "KNeighborsStudentRegressor": "soft_students.students",
    "LightGBMStudentClassifier": "soft_students.students",
    "LightGBMStudentRegressor": "soft_students.students",
    "LogisticStudentClassifier": "soft_students.students",
    "NeuralStudentClassifier": "soft_students.students",
    "RandomForestStudentClassifier": "soft_students.students",
    "RandomForestStudentRegressor": "soft_students.students",
    "RidgeStudentRegressor": "soft_students.students",
    "SVMStudentClassifier": "soft_students.students",
    "SVMStudentRegressor": "soft_students.students",
    "XGBoostStudentClassifier": "soft_students.students",
    "XGBoostStudentRegressor": "soft_students.students",
    "DistilledClassifier": "soft_students.students",
    "DistilledRegressor": "soft_students.students",
    "SoftDecisionTreeClassifier": "soft_students.students",
    "SoftDecisionTreeRegressor": "soft_students.students",
    "as_teacher": "soft_students.teachers",
    "load": "soft_students.students.files",
    "save": "soft_students.students.files",
}

__all__ = [
    "DecisionTreeStudentClassifier",
    "DecisionTreeStudentRegressor",
    "DistilledClassifier",
    "DistilledRegressor",
    "ExtraTreesStudentClassifier",
    "ExtraTreesStudentRegressor",
    "GenericStudentClassifier",
    "GenericStudentRegressor",
    "HistGradientBoostingStudentClassifier",
    "HistGradientBoostingStudentRegressor",
    "KNeighborsStudentClassifier",
    "KNeighborsStudentRegressor",
    "LightGBMStudentClassifier",
    "LightGBMStudentRegressor",
    "LogisticStudentClassifier",
    "NeuralStudentClassifier",
    "RandomForestStudentClassifier",
    "RandomForestStudentRegressor",
    "RidgeStudentRegressor",
    "SVMStudentClassifier",
    "SVMStudentRegressor",
    "SoftDecisionTreeClassifier",
    "SoftDecisionTreeRegressor",
    "XGBoostStudentClassifier",
    "XGBoostStudentRegressor",
    "__version__",
    "as_teacher",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
