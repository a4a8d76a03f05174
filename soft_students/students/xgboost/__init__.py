"""XGBoost students: boosted trees on soft targets; afterwards plain XGBoost models."""

from soft_students.students.xgboost.students import (
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)

__all__ = ["XGBoostStudentClassifier", "XGBoostStudentRegressor"]
