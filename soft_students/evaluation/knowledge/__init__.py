"""Quantifies the knowledge of a neural network by the visual concepts that a layer keeps.

Cheng, Rao, Chen and Zhang (2020), "Explaining knowledge distillation by quantifying the knowledge",
arXiv:2003.03622.
"""

from soft_students.evaluation.knowledge.concepts import (
    KnowledgeMetrics,
    background_entropy,
    foreground_mask,
    knowledge_metrics,
    visual_concepts,
    weight_distances,
)
from soft_students.evaluation.knowledge.entropy import pixel_entropies
from soft_students.evaluation.knowledge.quantify import Knowledge, quantify_knowledge

__all__ = [
    "Knowledge",
    "KnowledgeMetrics",
    "background_entropy",
    "foreground_mask",
    "knowledge_metrics",
    "pixel_entropies",
    "quantify_knowledge",
    "visual_concepts",
    "weight_distances",
]
