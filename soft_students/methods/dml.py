"""Deep mutual learning: students teach each other."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn import functional as F

from soft_students.methods.base import Method, Objective, Paper, Player, Stage, Terms
from soft_students.methods.batch import Batch
from soft_students.methods.lesson import Lesson
from soft_students.methods.peers import Ensemble, best_peer, keeping_statistics, make_peers


def mutual_loss(logits: Tensor, others: Tensor) -> Tensor:
    r"""Return :math:`\frac{1}{K - 1} \sum_{l \ne k} KL(sg(p_l) \| p_k)`, the mean over rows.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of peer k.
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
    r"""Deep mutual learning: several students learn together, and from each other.

    Peer k minimises :math:`CE(z_k, y) + \frac{w}{K - 1} \sum_{l \ne k} KL(sg(p_l) \| p_k)`, at
    temperature one. Needs no teacher; each peer also learns by whatever this is combined with.

    Parameters
    ----------
    n_peers : int, default=2
        K, at least 2; each has the student's architecture and initial weights of its own.
    weight : float, default=1.0
        w.
    update : {"simultaneous", "alternating"}, default="simultaneous"
        "simultaneous" compares the peers as they were before the step, at one forward pass each.
        "alternating" is the paper's algorithm: each peer learns from what those before it say
        after their steps, which costs a second forward pass; that one leaves the statistics of
        batch normalisation alone.
    keep : {"best", "ensemble"}, default="best"
        What predicts: the peer of the highest validation accuracy (without validation rows, the
        first), or the mean of all peers' probabilities.

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
        said: dict[int, Tensor] = {}  # each peer's latest logits of this batch

        def at_once(batch: Batch) -> Terms:
            losses = []
            for k, task in enumerate(tasks):
                terms, said[k] = task.with_logits(batch)
                losses.append(terms)
            total: dict[str, Tensor] = {}
            for k, terms in enumerate(losses):
                for name, value in {**terms, "dml": self._mutual(k, said)}.items():
                    total[name] = total[name] + value if name in total else value
            return total

        def in_turn(k: int, batch: Batch) -> Terms:
            # the first asks all others; who comes later, only the one that has just stepped
            for i in range(1, len(peers)) if k == 0 else [k - 1]:
                said[i] = _look(peers[i], batch)
            terms, said[k] = tasks[k].with_logits(batch)
            return {**terms, "dml": self._mutual(k, said)}

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

    def _mutual(self, k: int, said: dict[int, Tensor]) -> Tensor:
        others = torch.stack([z.detach() for i, z in sorted(said.items()) if i != k])
        return self.weight * mutual_loss(said[k], others)


@torch.no_grad()
def _look(network: nn.Module, batch: Batch) -> Tensor:
    with keeping_statistics(network):
        return network(batch.inputs)
