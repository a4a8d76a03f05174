"""Exports of students for use without this package: ONNX, C source, plain numpy."""

from soft_students.export.c_source import to_c
from soft_students.export.comparison import compare_to_student
from soft_students.export.numpy_files import to_numpy, to_soft_tree
from soft_students.export.numpy_predictor import SoftTree
from soft_students.export.onnx_graph import to_onnx

__all__ = ["SoftTree", "compare_to_student", "to_c", "to_numpy", "to_onnx", "to_soft_tree"]
