"""Students based on scikit-learn, trained on complete soft targets."""

from soft_students.students.classical.forests import (
    ExtraTreesStudentClassifier,
    ExtraTreesStudentRegressor,
    RandomForestStudentClassifier,
    RandomForestStudentRegressor,
)
from soft_students.students.classical.generic import (
    GenericStudentClassifier,
    GenericStudentRegressor,
)
from soft_students.students.classical.hist import (
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
)
from soft_students.students.classical.linear import LogisticStudentClassifier, RidgeStudentRegressor
from soft_students.students.classical.neighbors import (
    KNeighborsStudentClassifier,
    KNeighborsStudentRegressor,
)
from soft_students.students.classical.svm import SVMStudentClassifier, SVMStudentRegressor
from soft_students.students.classical.trees import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
)

__all__ = [
    "DecisionTreeStudentClassifier",
    "DecisionTreeStudentRegressor",
    "ExtraTreesStudentClassifier",
    "ExtraTreesStudentRegressor",
    "GenericStudentClassifier",
    "GenericStudentRegressor",
    "HistGradientBoostingStudentClassifier",
    "HistGradientBoostingStudentRegressor",
    "KNeighborsStudentClassifier",
    "KNeighborsStudentRegressor",
    "LogisticStudentClassifier",
    "RandomForestStudentClassifier",
    "RandomForestStudentRegressor",
    "RidgeStudentRegressor",
    "SVMStudentClassifier",
    "SVMStudentRegressor",
]
