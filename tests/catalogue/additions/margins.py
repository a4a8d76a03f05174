"""Matched margins: by how much the largest logit leads, of student and teacher."""

from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods import LossMethod, Paper

__all__ = ["Margins", "margin_loss"]


def margin_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference between the margins of two networks."""
    ours, theirs = (z.topk(2, dim=1).values.diff(dim=1) for z in (student, teacher.detach()))
    return F.mse_loss(ours, theirs)


class Margins(LossMethod):
    """The lead of the largest logit over the second becomes that of the teacher.

    Parameters
    ----------
    weight : float, default=0.5
    """

    key = "margins"
    title = "Matched margins"
    paper = Paper("Nobody", 2025, "A method for a test", "not published", "doi:10.0000/none")
    needs = frozenset({"teacher", "data"})
    _zero_when_equal = True

    def __init__(self, *, weight: float = 0.5) -> None:
        self.weight = weight

    @classmethod
    def _test_params(cls) -> dict[str, float]:
        return {"weight": 0.25}

    def terms(self, step, adapter: nn.Module | None) -> dict[str, Tensor]:
        """Return the difference between the margins."""
        loss = margin_loss(step.student.logits, step.teacher.logits)
        return {"margins": self.weight * loss}
