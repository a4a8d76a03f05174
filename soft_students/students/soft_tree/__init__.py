"""The soft decision tree of Frosst and Hinton (2017)."""

from soft_students.students.soft_tree.classifier import SoftDecisionTreeClassifier
from soft_students.students.soft_tree.regressor import SoftDecisionTreeRegressor

__all__ = ["SoftDecisionTreeClassifier", "SoftDecisionTreeRegressor"]
