"""Neural networks as students."""

from soft_students.students.neural.classifier import NeuralStudentClassifier
from soft_students.students.neural.modules import MODULES

__all__ = ["MODULES", "NeuralStudentClassifier"]
