"""Quality, fidelity to the teacher, calibration and cost of students."""

from soft_students.evaluation.calibration import (
    ReliabilityCurve,
    adaptive_calibration_error,
    expected_calibration_error,
    reliability_curve,
)
from soft_students.evaluation.complexity import flops, n_parameters, structure
from soft_students.evaluation.cost import (
    Timing,
    bundle_bytes,
    latency,
    latency_us,
    parameter_bytes,
    throughput,
)
from soft_students.evaluation.fidelity import (
    ClassFidelity,
    Disagreements,
    agreement,
    align_classes,
    disagreements,
    fidelity_by_class,
    kl_to_teacher,
    soft_cross_entropy,
    top_k_agreement,
)
from soft_students.evaluation.intervals import Interval, bootstrap_interval
from soft_students.evaluation.metrics import METRICS, Metric, get_metric
from soft_students.evaluation.robustness import (
    RobustnessCurve,
    add_noise,
    drop_features,
    robustness,
)
from soft_students.evaluation.scorers import get_scorer, get_scorer_names, get_scorers
from soft_students.evaluation.significance import McNemarResult, mcnemar
from soft_students.evaluation.summary import evaluate_student, evaluate_teacher
from soft_students.evaluation.table import Evaluation, evaluate
from soft_students.evaluation.task import brier_score, log_loss

__all__ = [
    "METRICS",
    "ClassFidelity",
    "Disagreements",
    "Evaluation",
    "Interval",
    "McNemarResult",
    "Metric",
    "ReliabilityCurve",
    "RobustnessCurve",
    "Timing",
    "adaptive_calibration_error",
    "add_noise",
    "agreement",
    "align_classes",
    "bootstrap_interval",
    "brier_score",
    "bundle_bytes",
    "disagreements",
    "drop_features",
    "evaluate",
    "evaluate_student",
    "evaluate_teacher",
    "expected_calibration_error",
    "fidelity_by_class",
    "flops",
    "get_metric",
    "get_scorer",
    "get_scorer_names",
    "get_scorers",
    "kl_to_teacher",
    "latency",
    "latency_us",
    "log_loss",
    "mcnemar",
    "n_parameters",
    "parameter_bytes",
    "reliability_curve",
    "robustness",
    "soft_cross_entropy",
    "structure",
    "throughput",
    "top_k_agreement",
]
