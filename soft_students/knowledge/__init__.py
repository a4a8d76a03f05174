"""Quantifies the knowledge of a neural network by the visual concepts that a layer keeps.

Cheng, Rao, Chen and Zhang (2020), "Explaining knowledge distillation by quantifying the knowledge",
arXiv:2003.03622.
"""

from soft_students.knowledge.concepts import (
    KnowledgeMetrics,
    background_entropy,
    foreground_mask,
    knowledge_metrics,
    visual_concepts,
    weight_distances,
)
from soft_students.knowledge.entropy import pixel_entropies
from soft_students.knowledge.entropy_picture import plot_entropies
from soft_students.knowledge.quantify import Knowledge, quantify_knowledge

__all__ = [
    "Knowledge",
    "KnowledgeMetrics",
    "background_entropy",
    "foreground_mask",
    "knowledge_metrics",
    "pixel_entropies",
    "plot_entropies",
    "quantify_knowledge",
    "visual_concepts",
    "weight_distances",
]
