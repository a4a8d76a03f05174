"""LightGBM students: boosted trees on soft targets; afterwards plain LightGBM models."""

from soft_students.students.lightgbm.students import (
    LightGBMStudentClassifier,
    LightGBMStudentRegressor,
)

__all__ = ["LightGBMStudentClassifier", "LightGBMStudentRegressor"]
