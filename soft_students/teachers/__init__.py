"""Teachers: any fitted model, behind one interface."""

from soft_students.teachers.array import ArrayTeacher
from soft_students.teachers.base import Teacher
from soft_students.teachers.cached import CachedTeacher
from soft_students.teachers.checkpoint import save_teacher
from soft_students.teachers.conversion import as_teacher
from soft_students.teachers.course import Epoch
from soft_students.teachers.ensemble import EnsembleTeacher
from soft_students.teachers.estimator import EstimatorTeacher
from soft_students.teachers.files import load_teacher
from soft_students.teachers.function import FunctionTeacher
from soft_students.teachers.inputs import InputRangeWarning
from soft_students.teachers.onnx import OnnxTeacher
from soft_students.teachers.torch_module import TorchTeacher
from soft_students.teachers.training import train_teacher

__all__ = [
    "ArrayTeacher",
    "CachedTeacher",
    "EnsembleTeacher",
    "Epoch",
    "EstimatorTeacher",
    "FunctionTeacher",
    "InputRangeWarning",
    "OnnxTeacher",
    "Teacher",
    "TorchTeacher",
    "as_teacher",
    "load_teacher",
    "save_teacher",
    "train_teacher",
]
