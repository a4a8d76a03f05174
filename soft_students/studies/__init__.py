"""Reproductions of published results, from the raw data to the table."""

from soft_students.studies.mnist_soft_tree import (
    Row,
    StudyPlan,
    quick_plan,
    run_study,
    soft_tree_plan,
)
from soft_students.studies.pictures import draw_study
from soft_students.studies.table import markdown_table, summarize

__all__ = [
    "Row",
    "StudyPlan",
    "draw_study",
    "markdown_table",
    "quick_plan",
    "run_study",
    "soft_tree_plan",
    "summarize",
]
