"""Who learns: every student has the same `fit(X, teacher)`."""

from soft_students.students.classical import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    ExtraTreesStudentClassifier,
    ExtraTreesStudentRegressor,
    LightGBMStudentClassifier,
    LightGBMStudentRegressor,
    LogisticStudentClassifier,
    RandomForestStudentClassifier,
    RandomForestStudentRegressor,
    RidgeStudentRegressor,
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)
from soft_students.students.distilled import DistilledClassifier
from soft_students.students.registry import StudentEntry, available, get_student
from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor

__all__ = [
    "DecisionTreeStudentClassifier",
    "DecisionTreeStudentRegressor",
    "DistilledClassifier",
    "ExtraTreesStudentClassifier",
    "ExtraTreesStudentRegressor",
    "LightGBMStudentClassifier",
    "LightGBMStudentRegressor",
    "LogisticStudentClassifier",
    "RandomForestStudentClassifier",
    "RandomForestStudentRegressor",
    "RidgeStudentRegressor",
    "SoftDecisionTreeClassifier",
    "SoftDecisionTreeRegressor",
    "StudentEntry",
    "XGBoostStudentClassifier",
    "XGBoostStudentRegressor",
    "available",
    "get_student",
]
