"""Explanations of students and of single predictions, as pictures, text and numbers.

Pictures need matplotlib: ``pip install 'soft-students[plots]'``. They do not use pyplot, and so
need no display and do not change its state.
"""

from soft_students.explain.contributions import ContributionExplanation
from soft_students.explain.explanation import Explanation
from soft_students.explain.explorer import explorer_page, save_explorer
from soft_students.explain.files import PICTURE_SUFFIXES, save_picture
from soft_students.explain.learning_curves import plot_learning_curves
from soft_students.explain.path import PathExplanation, explain_path, plot_path
from soft_students.explain.prediction import explain
from soft_students.explain.rules import RuleExplanation
from soft_students.explain.tree_picture import plot_tree

__all__ = [
    "PICTURE_SUFFIXES",
    "ContributionExplanation",
    "Explanation",
    "PathExplanation",
    "RuleExplanation",
    "explain",
    "explain_path",
    "explorer_page",
    "plot_learning_curves",
    "plot_path",
    "plot_tree",
    "save_explorer",
    "save_picture",
]
