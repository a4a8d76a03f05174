"""Distillation methods for neural students: one file per method, and one loop that trains them all.

The loss functions (`kd_loss`, `at_loss`, ...) are pure and work in any training loop.
"""

from soft_students.methods.ab import AB, ab_loss
from soft_students.methods.at import AT, at_loss, attention_map
from soft_students.methods.base import Combination, LossMethod, Method, Objective, Paper, Task
from soft_students.methods.bss import BSS, base_rows, boundary_samples, target_classes
from soft_students.methods.byot import BYOT, exit_hint_loss
from soft_students.methods.catalog import available, get_method, make_method
from soft_students.methods.cc import CC, cc_loss, correlations
from soft_students.methods.cgan import CGAN, deception_loss, discriminator_loss
from soft_students.methods.crd import CRD, crd_loss
from soft_students.methods.cskd import CSKD, cskd_loss
from soft_students.methods.dafl import (
    DAFL,
    activation_loss,
    information_loss,
    one_hot_loss,
    statistics_loss,
)
from soft_students.methods.ddgsd import DDGSD, view_discrepancy, view_divergence
from soft_students.methods.dist import DIST, dist_losses, pearson_correlation
from soft_students.methods.dkd import DKD, dkd_losses
from soft_students.methods.dml import DML, mutual_loss
from soft_students.methods.fitnet import FitNet, hint_loss, hint_regressor
from soft_students.methods.fsp import FSP, fsp_loss, fsp_matrix
from soft_students.methods.ft import FT, ft_loss
from soft_students.methods.grafting import Grafting, graft, weight_entropy
from soft_students.methods.kd import KD, kd_loss
from soft_students.methods.lesson import Lesson, Step
from soft_students.methods.logit_std import LogitStandardization, standardize_logits
from soft_students.methods.nst import NST, nst_loss
from soft_students.methods.observe import Observation, list_layers, observe
from soft_students.methods.peers import Ensemble, ensemble_logits
from soft_students.methods.pkt import PKT, pkt_loss
from soft_students.methods.rkd import RKD, rkd_angle_loss, rkd_distance_loss
from soft_students.methods.sp import SP, sp_loss
from soft_students.methods.ttm import TTM, WTTM, ttm_loss
from soft_students.methods.vid import VID, vid_loss
from soft_students.training.batch import Batch, TrainingData
from soft_students.training.stages import Player, Stage

__all__ = [
    "AB",
    "AT",
    "BSS",
    "BYOT",
    "CC",
    "CGAN",
    "CRD",
    "CSKD",
    "DAFL",
    "DDGSD",
    "DIST",
    "DKD",
    "DML",
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
    "Ensemble",
    "FitNet",
    "Grafting",
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
    "activation_loss",
    "at_loss",
    "attention_map",
    "available",
    "base_rows",
    "boundary_samples",
    "cc_loss",
    "correlations",
    "crd_loss",
    "cskd_loss",
    "deception_loss",
    "discriminator_loss",
    "dist_losses",
    "dkd_losses",
    "ensemble_logits",
    "exit_hint_loss",
    "fsp_loss",
    "fsp_matrix",
    "ft_loss",
    "get_method",
    "graft",
    "hint_loss",
    "hint_regressor",
    "information_loss",
    "kd_loss",
    "list_layers",
    "make_method",
    "mutual_loss",
    "nst_loss",
    "observe",
    "one_hot_loss",
    "pearson_correlation",
    "pkt_loss",
    "rkd_angle_loss",
    "rkd_distance_loss",
    "sp_loss",
    "standardize_logits",
    "statistics_loss",
    "target_classes",
    "ttm_loss",
    "vid_loss",
    "view_discrepancy",
    "view_divergence",
    "weight_entropy",
]
