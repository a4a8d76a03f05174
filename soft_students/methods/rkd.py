"""Relational distillation: match distances and angles between rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import LossMethod, Paper
from soft_students.methods.lesson import Step
from soft_students.training.stages import Terms

__all__ = ["RKD", "rkd_angle_loss", "rkd_distance_loss"]

#: Rows nearer than this multiple of the mean distance count as coincident: the gradient of their
#: direction grows as the inverse of the distance.
_NEAR = 1e-6


def rkd_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Return the difference between distances, in units of their mean.

    Smooth L1 loss between student's and teacher's :math:`ψ_D = \|x_i - x_j\|_2 / μ`, with μ the
    mean of the positive distances; the mean over all pairs.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Each row is flattened; the sizes may differ. No gradient flows to the teacher's.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Park, Kim, Lu and Cho (2019), "Relational knowledge distillation", arXiv:1904.05068,
    section 3.
    """
    return _distance_loss(_distances(student), _distances(teacher.detach()))


def rkd_angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Return the difference between the angles of all triples of rows.

    Smooth L1 loss between student's and teacher's :math:`ψ_A = \cos \angle(x_i, x_j, x_k)`, the
    mean over all n³ triples. The cosine is zero where two rows coincide.

    Parameters
    ----------
    student, teacher : Tensor of shape (n, ...)
        Each row is flattened; the sizes may differ. No gradient flows to the teacher's.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Park, Kim, Lu and Cho (2019), "Relational knowledge distillation", arXiv:1904.05068,
    section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import rkd_angle_loss
    >>> triangle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> round(float(rkd_angle_loss(triangle, 5 * triangle)), 6)
    0.0
    """
    return _angle_loss(_distances(student), _distances(teacher.detach()))


def _distances(features: Tensor) -> Tensor:
    """Return all distances; for coincident rows distance and gradient are zero."""
    rows = features.flatten(1)
    # matrix products would lose precision to cancellation: equal rows would get distances > 0
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _mean_positive(distances: Tensor) -> Tensor:
    mean = distances.sum() / (distances > 0).sum().clamp_min(1)
    return torch.where(mean > 0, mean, 1)


def _distance_loss(ours: Tensor, wanted: Tensor) -> Tensor:
    return F.smooth_l1_loss(ours / _mean_positive(ours), wanted / _mean_positive(wanted))


def _angle_loss(ours: Tensor, wanted: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = _cosines(wanted)
    return F.smooth_l1_loss(_cosines(ours), wanted)


def _cosines(distances: Tensor) -> Tensor:
    """Return the cosine at vertex j between the directions to i and k, at [j, i, k].

    The law of cosines takes n³ values, while vectors of directions would take n² times the
    features.
    """
    apart = distances > _NEAR * _mean_positive(distances).detach()
    inverse = apart / torch.where(apart, distances, 1)
    squares = distances.square()
    doubled = squares[:, :, None] + squares[:, None, :]
    doubled -= squares
    return doubled * (inverse[:, :, None] * (inverse / 2)[:, None, :])


class RKD(LossMethod):
    """Relational distillation: the student reproduces the teacher's distances and angles.

    Parameters
    ----------
    distance_weight : float, default=25.0
        Weight of the distance loss; 0 leaves it out.
    angle_weight : float, default=50.0
        Weight of the angle loss; 0 leaves it out.
    student_layers, teacher_layers : sequence of str, default=None
        Layers, in pairs. None takes the input of the last linear layer.

    References
    ----------
    Park, Kim, Lu and Cho (2019), "Relational knowledge distillation", arXiv:1904.05068.
    """

    key = "rkd"
    title = "Relational distillation"
    paper = Paper(
        "Park, Kim, Lu and Cho",
        2019,
        "Relational knowledge distillation",
        "CVPR",
        "arXiv:1904.05068",
    )
    needs = frozenset({"teacher", "network", "data"})
    looks_at = "embedding"
    _zero_when_equal = True

    def __init__(
        self,
        *,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
        student_layers: Sequence[str] | None = None,
        teacher_layers: Sequence[str] | None = None,
    ) -> None:
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight
        self.student_layers = student_layers
        self.teacher_layers = teacher_layers

    def terms(self, step: Step, adapter: nn.Module | None) -> Terms:
        """Return the sums over layers of distances and of angles."""
        assert step.teacher is not None
        terms: dict[str, Tensor] = {}
        for student, teacher in zip(step.student.features, step.teacher.features, strict=True):
            ours, wanted = _distances(student), _distances(teacher)
            if self.distance_weight:
                loss = self.distance_weight * _distance_loss(ours, wanted)
                terms["distance"] = terms["distance"] + loss if "distance" in terms else loss
            if self.angle_weight:
                loss = self.angle_weight * _angle_loss(ours, wanted)
                terms["angle"] = terms["angle"] + loss if "angle" in terms else loss
        return terms
