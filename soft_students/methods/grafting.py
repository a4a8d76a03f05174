"""Filter grafting: students blend their weights, favouring layers of higher entropy."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from soft_students.methods.base import Method, Objective, Paper, Task
from soft_students.methods.lesson import Lesson
from soft_students.methods.peers import best_peer, make_peers
from soft_students.sklearn_private import Interval
from soft_students.training.batch import Batch, Passes
from soft_students.training.stages import Player, Stage, Terms

__all__ = ["Grafting", "graft", "weight_entropy"]


def weight_entropy(weights: Tensor, n_bins: int = 10) -> float:
    """Return the entropy of a histogram of a layer's weights, a measure of their information.

    Parameters
    ----------
    weights : Tensor
    n_bins : int, default=10
        Number of bins of equal width, from the smallest weight to the largest.

    Returns
    -------
    float
        In nats; zero if all weights are equal.

    References
    ----------
    Meng, Cheng, Li, Xu, Ji, Sun and Lu (2020), "Filter grafting for deep neural networks",
    arXiv:2001.05868, section 3.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods import weight_entropy
    >>> round(weight_entropy(torch.arange(100.0)), 3)  # log(10)
    2.303
    """
    values = weights.detach().flatten().float().cpu()
    if values.min() == values.max():
        return 0.0
    shares = torch.histc(values, bins=n_bins) / len(values)
    return float(torch.special.entr(shares).sum())


def graft(
    states: Sequence[Mapping[str, Tensor]], scale: float = 0.4, steepness: float = 500.0
) -> list[dict[str, Tensor]]:
    r"""Blend each network's weights with those of the network before it; return the new states.

    :math:`W_i \leftarrow w W_i + (1 - w) W_{i-1}`, cyclically, with :math:`w = \frac{A}{\pi}
    \arctan(c (H(W_i) - H(W_{i-1}))) + \frac{1}{2}` for each layer.

    Parameters
    ----------
    states : sequence of dict of str to Tensor
        States of networks of one architecture; not modified.
    scale : float, default=0.4
        A: w lies within A/2 of one half.
    steepness : float, default=500.0
        c.

    Returns
    -------
    list of dict of str to Tensor
        New states. A layer's w also blends the entries that follow until the next layer's weights,
        such as biases and the normalisation with its statistics. Integer counters are kept.

    References
    ----------
    Meng, Cheng, Li, Xu, Ji, Sun and Lu (2020), "Filter grafting for deep neural networks",
    arXiv:2001.05868, section 3. As in the authors' code, the arctangent is divided by π, without
    which w would leave [0, 1]. The code rounds w to two places; here it is not rounded.
    """
    entropies = [
        {name: weight_entropy(value) for name, value in state.items() if _is_weight(value)}
        for state in states
    ]
    grafted = []
    for i, own in enumerate(states):  # the last precedes the first
        before = states[i - 1]
        share = 0.5
        after: dict[str, Tensor] = {}
        for name, value in own.items():
            if _is_weight(value):
                difference = entropies[i][name] - entropies[i - 1][name]
                share = scale / math.pi * math.atan(steepness * difference) + 0.5
            after[name] = (
                torch.lerp(before[name], value, share)
                if value.is_floating_point()
                else value.clone()
            )
        grafted.append(after)
    return grafted


def _is_weight(value: Tensor) -> bool:
    return value.ndim > 1 and value.is_floating_point()


class OwnOrder:
    """The task of a peer, on training rows in an order of its own.

    Parameters
    ----------
    task : Task
    batches : Passes
    """

    def __init__(self, task: Task, batches: Passes) -> None:
        self._task = task
        self._batches = batches
        self._pass: Iterator[Batch] = iter(())

    def __call__(self, batch: Batch) -> Terms:
        """Return the terms of the peer's next batch, at the progress and epoch of `batch`."""
        mine = next(self._pass, None)
        if mine is None:
            self._pass = iter(self._batches)
            mine = next(self._pass)
        return self._task(replace(mine, progress=batch.progress, epoch=batch.epoch))


class Grafting(Method):
    r"""Filter grafting: after each epoch, students blend their weights.

    Each peer is trained alone, with its own learning rate and order of the rows. After each epoch
    every layer becomes :math:`w W_i + (1 - w) W_{i-1}`, with more weight for the layer of higher
    entropy; see `graft`. Needs no teacher; the terms of combined methods apply to each peer. The
    peer with the highest validation accuracy predicts; without validation rows, the last, which has
    the full learning rate.

    Parameters
    ----------
    n_peers : int, default=2
        K, at least 2. All have the student's architecture, with different initial weights.
    scale : float, default=0.4
        A.
    steepness : float, default=500.0
        c.

    Notes
    -----
    Peer i of K is trained at :math:`(1 + \cos(\pi (K - i) / K)) / 2` of the learning rate, as in
    the authors' code: two peers at one half of it and at all of it.

    References
    ----------
    Meng, Cheng, Li, Xu, Ji, Sun and Lu (2020), "Filter grafting for deep neural networks",
    arXiv:2001.05868, section 3.
    """

    key = "grafting"
    title = "Filter grafting"
    paper = Paper(
        "Meng, Cheng, Li, Xu, Ji, Sun and Lu",
        2020,
        "Filter grafting for deep neural networks",
        "CVPR",
        "arXiv:2001.05868",
    )
    needs = frozenset({"data"})
    _order_matters = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_peers": [Interval(Integral, 2, None, closed="left")],
        "scale": [Interval(Real, 0, 1, closed="both")],
        "steepness": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, *, n_peers: int = 2, scale: float = 0.4, steepness: float = 500.0) -> None:
        self.n_peers = n_peers
        self.scale = scale
        self.steepness = steepness

    def stages(self, lesson: Lesson, objective: Objective) -> Generator[Stage, None, nn.Module]:
        """Yield one stage that grafts the peers after each epoch."""
        # the student is last, with the full learning rate
        peers = make_peers(lesson, self.n_peers)[::-1]
        tasks = []
        for peer in peers:
            tasks.append((yield from objective.prepare(peer)))
        k = len(peers)
        players = []
        for i, task in enumerate(tasks, start=1):
            loss = task if i == 1 else OwnOrder(task, objective.batches())
            rate = (1 + math.cos(math.pi * (k - i) / k)) / 2
            players.append(Player(task.trains, loss, rate=rate))

        def lend(epoch: int) -> None:
            # graft returns new states, so no peer sees another's update: state_dict refers to the
            # weights themselves
            states = graft([peer.state_dict() for peer in peers], self.scale, self.steepness)
            for peer, state in zip(peers, states, strict=True):
                peer.load_state_dict(state)

        predictors = [task.predictor for task in tasks]
        yield Stage(
            self.key,
            players,
            batches=objective.batches(),
            after_epoch=lend,
            selects=predictors,
        )
        return best_peer(lesson, predictors[::-1])
