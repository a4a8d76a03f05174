"""Students whose learning is a well-kept library's, on soft targets in full."""

from soft_students.students.classical.boosted import (
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)
from soft_students.students.classical.linear import LogisticStudentClassifier, RidgeStudentRegressor
from soft_students.students.classical.trees import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    ExtraTreesStudentClassifier,
    ExtraTreesStudentRegressor,
    RandomForestStudentClassifier,
    RandomForestStudentRegressor,
)

__all__ = [
    "DecisionTreeStudentClassifier",
    "DecisionTreeStudentRegressor",
    "ExtraTreesStudentClassifier",
    "ExtraTreesStudentRegressor",
    "LogisticStudentClassifier",
    "RandomForestStudentClassifier",
    "RandomForestStudentRegressor",
    "RidgeStudentRegressor",
    "XGBoostStudentClassifier",
    "XGBoostStudentRegressor",
]
