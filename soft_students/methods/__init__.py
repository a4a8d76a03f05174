"""How a neural student learns: one file a method, and the loop that knows none of them by name.

The pure functions (`kd_loss`, `at_loss`, ...) work alone, in anybody's own training loop.
"""

from soft_students.methods.ab import AB, ab_loss
from soft_students.methods.at import AT, at_loss, attention_map
from soft_students.methods.base import (
    Combination,
    LossMethod,
    Method,
    Objective,
    Paper,
    Player,
    Stage,
    Task,
)
from soft_students.methods.catalog import available, get_method, make_method
from soft_students.methods.cc import CC, cc_loss, correlations
from soft_students.methods.crd import CRD, crd_loss
from soft_students.methods.dist import DIST, dist_losses, pearson_correlation
from soft_students.methods.dkd import DKD, dkd_losses
from soft_students.methods.fitnet import FitNet, hint_loss, hint_regressor
from soft_students.methods.fsp import FSP, fsp_loss, fsp_matrix
from soft_students.methods.ft import FT, ft_loss
from soft_students.methods.kd import KD, kd_loss
from soft_students.methods.lesson import Batch, Lesson, Step, TrainingData
from soft_students.methods.logit_std import LogitStandardization, standardize_logits
from soft_students.methods.nst import NST, nst_loss
from soft_students.methods.observe import Observation, list_layers, observe
from soft_students.methods.pkt import PKT, pkt_loss
from soft_students.methods.rkd import RKD, rkd_angle_loss, rkd_distance_loss
from soft_students.methods.sp import SP, sp_loss
from soft_students.methods.ttm import TTM, WTTM, ttm_loss
from soft_students.methods.vid import VID, vid_loss

__all__ = [
    "AB",
    "AT",
    "CC",
    "CRD",
    "DIST",
    "DKD",
    "FSP",
    "FT",
    "KD",
    "NST",
    "PKT",
    "RKD",
    "SP",
    "TTM",
    "VID",
    "WTTM",
    "Batch",
    "Combination",
    "FitNet",
    "Lesson",
    "LogitStandardization",
    "LossMethod",
    "Method",
    "Objective",
    "Observation",
    "Paper",
    "Player",
    "Stage",
    "Step",
    "Task",
    "TrainingData",
    "ab_loss",
    "at_loss",
    "attention_map",
    "available",
    "cc_loss",
    "correlations",
    "crd_loss",
    "dist_losses",
    "dkd_losses",
    "fsp_loss",
    "fsp_matrix",
    "ft_loss",
    "get_method",
    "hint_loss",
    "hint_regressor",
    "kd_loss",
    "list_layers",
    "make_method",
    "nst_loss",
    "observe",
    "pearson_correlation",
    "pkt_loss",
    "rkd_angle_loss",
    "rkd_distance_loss",
    "sp_loss",
    "standardize_logits",
    "ttm_loss",
    "vid_loss",
]
