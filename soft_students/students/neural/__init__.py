"""Neural networks as students."""

from soft_students.students.neural.classifier import NeuralStudentClassifier

__all__ = ["NeuralStudentClassifier"]
