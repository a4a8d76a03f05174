"""Rank students by several criteria at once."""

from soft_students.ranking.criteria import ALIASES, check_weights, get_criterion
from soft_students.ranking.judgements import Judgements, ahp_weights
from soft_students.ranking.ranking import METHODS, Ranking, pareto_front, rank
from soft_students.ranking.scores import NORMALIZATIONS
from soft_students.ranking.sensitivity import Sensitivity, WeightRange

__all__ = [
    "ALIASES",
    "METHODS",
    "NORMALIZATIONS",
    "Judgements",
    "Ranking",
    "Sensitivity",
    "WeightRange",
    "ahp_weights",
    "check_weights",
    "get_criterion",
    "pareto_front",
    "rank",
]
