"""Who learns: every student has the same `fit(X, teacher)`."""

from soft_students.students.distilled import DistilledClassifier
from soft_students.students.registry import StudentEntry, available, get_student
from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor

__all__ = [
    "DistilledClassifier",
    "SoftDecisionTreeClassifier",
    "SoftDecisionTreeRegressor",
    "StudentEntry",
    "available",
    "get_student",
]
