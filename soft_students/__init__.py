"""Distil a neural teacher into a small, fast, readable scikit-learn student."""

from soft_students.persistence import load, save
from soft_students.students import (
    DistilledClassifier,
    SoftDecisionTreeClassifier,
    SoftDecisionTreeRegressor,
)
from soft_students.teachers import as_teacher

__version__ = "0.1.0"

__all__ = [
    "DistilledClassifier",
    "SoftDecisionTreeClassifier",
    "SoftDecisionTreeRegressor",
    "__version__",
    "as_teacher",
    "load",
    "save",
]
