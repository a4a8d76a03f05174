"""Students: scikit-learn estimators with `fit(X, teacher)`."""

from typing import TYPE_CHECKING, Any

from soft_students.students.classical import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    ExtraTreesStudentClassifier,
    ExtraTreesStudentRegressor,
    GenericStudentClassifier,
    GenericStudentRegressor,
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
    KNeighborsStudentClassifier,
    KNeighborsStudentRegressor,
    LogisticStudentClassifier,
    RandomForestStudentClassifier,
    RandomForestStudentRegressor,
    RidgeStudentRegressor,
    SVMStudentClassifier,
    SVMStudentRegressor,
)
from soft_students.students.distilled import DistilledClassifier, DistilledRegressor
from soft_students.students.lightgbm import LightGBMStudentClassifier, LightGBMStudentRegressor
from soft_students.students.registry import StudentEntry, available, get_student
from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.students.xgboost import XGBoostStudentClassifier, XGBoostStudentRegressor

if TYPE_CHECKING:
    from soft_students.students.neural import NeuralStudentClassifier

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
    "StudentEntry",
    "XGBoostStudentClassifier",
    "XGBoostStudentRegressor",
    "available",
    "get_student",
]


def __getattr__(name: str) -> Any:
    if name != "NeuralStudentClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # imported at first use: the other students predict without torch, whose import takes seconds
    from soft_students.students.neural import NeuralStudentClassifier

    return NeuralStudentClassifier
