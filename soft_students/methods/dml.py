"""Deep mutual learning: students teach each other."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import Method, Objective, Paper
from soft_students.methods.lesson import Lesson
from soft_students.methods.peers import Ensemble, best_peer, keeping_statistics, make_peers
from soft_students.sklearn_private import Interval, StrOptions
from soft_students.training.batch import Batch
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["DML", "mutual_loss"]


def mutual_loss(logits: Tensor, others: Tensor) -> Tensor:
    r"""Return :math:`\frac{1}{K - 1} \sum_{l \ne k} KL(sg(p_l) \| p_k)`, the mean over rows.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits of peer k.
    others : Tensor of shape (K - 1, n, n_classes)
        Logits of the other peers. No gradient flows to them.

    Returns
    -------
    Tensor
        A scalar, in nats.

    References
    ----------
    Zhang, Xiang, Hospedales and Lu (2018), "Deep mutual learning", arXiv:1706.00384, section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import mutual_loss
    >>> z = torch.tensor([[1.0, 2.0, 3.0]])
    >>> float(mutual_loss(z, z[None]))
    0.0
    """
    log_others = F.log_softmax(others.detach(), dim=2)
    log_p = F.log_softmax(logits, dim=1).expand_as(log_others)
    divergence = F.kl_div(log_p, log_others, reduction="sum", log_target=True)
    return divergence / (len(others) * max(1, len(logits)))


class DML(Method):
    r"""Deep mutual learning: several students train together and distil each other.

    Peer k minimises :math:`CE(z_k, y) + \frac{w}{K - 1} \sum_{l \ne k} KL(sg(p_l) \| p_k)`, at
    temperature one. Needs no teacher; the terms of combined methods apply to each peer.

    Parameters
    ----------
    n_peers : int, default=2
        K, at least 2. All have the student's architecture, with different initial weights.
    weight : float, default=1.0
        w.
    update : {"simultaneous", "alternating"}, default="simultaneous"
        "simultaneous" compares the peers before the step, with one forward pass each. "alternating"
        is the paper's algorithm: each peer learns from the updated predictions of those before it.
        That costs a second forward pass, which does not change the statistics of batch
        normalisation.
    keep : {"best", "ensemble"}, default="best"
        Predict by the peer with the highest validation accuracy (without validation rows, the
        first), or by the mean of all peers' probabilities.

    References
    ----------
    Zhang, Xiang, Hospedales and Lu (2018), "Deep mutual learning", arXiv:1706.00384, section 3.
    """

    key = "dml"
    title = "Deep mutual learning"
    paper = Paper(
        "Zhang, Xiang, Hospedales and Lu", 2018, "Deep mutual learning", "CVPR", "arXiv:1706.00384"
    )
    needs = frozenset({"data"})
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_peers": [Interval(Integral, 2, None, closed="left")],
        "weight": [Interval(Real, 0, None, closed="left")],
        "update": [StrOptions({"simultaneous", "alternating"})],
        "keep": [StrOptions({"best", "ensemble"})],
    }

    def __init__(
        self,
        *,
        n_peers: int = 2,
        weight: float = 1.0,
        update: str = "simultaneous",
        keep: str = "best",
    ) -> None:
        self.n_peers = n_peers
        self.weight = weight
        self.update = update
        self.keep = keep

    def stages(self, lesson: Lesson, objective: Objective) -> Generator[Stage, None, nn.Module]:
        """Yield one stage, in which all peers step on every batch."""
        peers = make_peers(lesson, self.n_peers)
        tasks = []
        for peer in peers:
            tasks.append((yield from objective.prepare(peer)))
        latest: dict[int, Tensor] = {}  # each peer's logits of this batch

        def at_once(batch: Batch) -> Terms:
            losses = []
            for k, task in enumerate(tasks):
                terms, latest[k] = task.with_logits(batch)
                losses.append(terms)
            total: dict[str, Tensor] = {}
            for k, terms in enumerate(losses):
                for name, value in {**terms, "dml": self._mutual(k, latest)}.items():
                    total[name] = total[name] + value if name in total else value
            return total

        def in_turn(k: int, batch: Batch) -> Terms:
            # peer 0 needs the logits of all others; each later peer only of the one just updated
            for i in range(1, len(peers)) if k == 0 else [k - 1]:
                latest[i] = _look(peers[i], batch)
            terms, latest[k] = tasks[k].with_logits(batch)
            return {**terms, "dml": self._mutual(k, latest)}

        if self.update == "simultaneous":
            players = [Player([module for task in tasks for module in task.trains], at_once)]
        else:
            players = [Player(task.trains, partial(in_turn, k)) for k, task in enumerate(tasks)]
        predictors = [task.predictor for task in tasks]
        ensemble = Ensemble(predictors)
        yield Stage(
            self.key,
            players,
            batches=objective.batches(),
            selects=predictors if self.keep == "best" else [ensemble],
        )
        return best_peer(lesson, predictors) if self.keep == "best" else ensemble

    def _mutual(self, k: int, latest: dict[int, Tensor]) -> Tensor:
        others = torch.stack([z.detach() for i, z in sorted(latest.items()) if i != k])
        return self.weight * mutual_loss(latest[k], others)


@torch.no_grad()
def _look(network: nn.Module, batch: Batch) -> Tensor:
    with keeping_statistics(network):
        return network(batch.inputs)
