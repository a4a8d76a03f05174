"""How good a student is, how faithful to its teacher, and what it costs."""

from soft_students.evaluation.cost import bundle_bytes, latency_us, parameter_bytes
from soft_students.evaluation.fidelity import (
    agreement,
    align_classes,
    kl_to_teacher,
    soft_cross_entropy,
)
from soft_students.evaluation.scorers import get_scorer, get_scorer_names, get_scorers
from soft_students.evaluation.summary import evaluate_student, evaluate_teacher

__all__ = [
    "agreement",
    "align_classes",
    "bundle_bytes",
    "evaluate_student",
    "evaluate_teacher",
    "get_scorer",
    "get_scorer_names",
    "get_scorers",
    "kl_to_teacher",
    "latency_us",
    "parameter_bytes",
    "soft_cross_entropy",
]
