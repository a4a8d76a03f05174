"""Batches that are more than rows in random order."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from soft_students.training.batch import draw_by_weight


class ClassUniform:
    """Sample batches of k rows from each of B/k classes.

    Classes take turns, whatever their size; within a class all rows are drawn before one repeats. A
    pass draws about as many rows as the data has, up to whole batches. Rows of rare classes repeat
    within a pass, but no batch contains a row twice. With fewer than B/k classes, a class fills
    several groups of k rows; if its rows do not suffice, batches are smaller. With
    weights, the rows of a class are drawn in proportion to them, and a batch may hold a row twice.

    Parameters
    ----------
    labels : Tensor of int64, shape (n_rows,)
    batch_size : int
        B.
    per_class : int
        k.
    weights : Tensor of shape (n_rows,), default=None

    Raises
    ------
    ValueError
        If k exceeds B or the rows of a class.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods.samplers import ClassUniform
    >>> sampler = ClassUniform(torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]), batch_size=4, per_class=2)
    >>> batch = next(sampler.batches(torch.Generator().manual_seed(0)))
    >>> batch.shape  # 2 rows of each of 2 classes; one column per class
    torch.Size([2, 2])
    """

    def __init__(
        self, labels: Tensor, batch_size: int, per_class: int, weights: Tensor | None = None
    ) -> None:
        if not 1 <= per_class <= batch_size:
            raise ValueError(
                f"The 'per_class' parameter of ClassUniform must be in the range [1, {batch_size}],"
                f" the batch size. Got {per_class}."
            )
        by_class = _by_class(labels)
        for name, rows in by_class.items():
            if len(rows) < per_class:
                raise ValueError(
                    f"A class-uniform batch takes {per_class} rows per class, but class {name} has "
                    f"{len(rows)}. Lower per_class, or leave such classes out."
                )
        self._rows = list(by_class.values())
        self._weights = weights
        self._per_class = per_class
        self._most = torch.tensor([len(rows) // per_class for rows in self._rows])
        self._n_groups = min(batch_size // per_class, int(self._most.sum()))
        self._n_batches = math.ceil(len(labels) / (self._n_groups * per_class))

    def __len__(self) -> int:
        return self._n_batches

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch, of shape (k, number of groups)."""
        turns = torch.zeros(len(self._rows))
        left = [rows[:0] for rows in self._rows]
        for _ in range(self._n_batches):
            groups = self._groups(turns, generator)
            turns += groups
            columns = []
            for i in groups.nonzero().flatten().tolist():
                n = int(groups[i]) * self._per_class
                if len(left[i]) < n:
                    rows = self._rows[i]
                    if self._weights is not None:
                        rows = rows[draw_by_weight(self._weights[rows], generator)]
                    left[i] = rows[torch.randperm(len(rows), generator=generator)]
                columns.append(left[i][:n].view(-1, self._per_class))
                left[i] = left[i][n:]
            yield torch.cat(columns).T

    def _groups(self, turns: Tensor, generator: torch.Generator) -> Tensor:
        """Return the number of groups of each class in a batch; fewest earlier turns go first."""
        groups = torch.zeros_like(self._most)
        while (missing := self._n_groups - int(groups.sum())) > 0:
            order = turns + torch.rand(len(turns), generator=generator)
            order[groups == self._most] = torch.inf
            able = int((groups < self._most).sum())
            groups[order.argsort()[: min(missing, able)]] += 1
        return groups


class SuperclassUniform:
    """Batches as in `ClassUniform`, with k-means clusters of the teacher's features as classes.

    The rows of a cluster smaller than k are assigned to the next nearest cluster.

    Parameters
    ----------
    features : Tensor of shape (n_rows, ...)
        The teacher's features of all rows.
    batch_size : int
        B.
    per_class : int
        k.
    n_superclasses : int
        Number of clusters before small ones are dissolved.
    random_state : int
        Seed of k-means.
    weights : Tensor of shape (n_rows,), default=None
        As in `ClassUniform`.

    Attributes
    ----------
    superclasses : Tensor of int64, shape (n_rows,)
        Cluster of each row.
    """

    def __init__(
        self,
        features: Tensor,
        batch_size: int,
        per_class: int,
        n_superclasses: int,
        random_state: int = 0,
        weights: Tensor | None = None,
    ) -> None:
        if not 1 <= n_superclasses <= len(features):
            raise ValueError(
                "The 'n_superclasses' parameter of SuperclassUniform must be in the range "
                f"[1, {len(features)}], the number of rows. Got {n_superclasses}."
            )
        if len(features) < per_class:
            raise ValueError(
                f"A superclass-uniform batch takes {per_class} rows per superclass. Got "
                f"{len(features)} rows in all. Lower per_class, or use more rows."
            )
        rows = features.detach().flatten(1).cpu().float().numpy()
        means = KMeans(n_superclasses, n_init=1, random_state=random_state).fit(rows)
        distances = means.transform(rows)
        assigned = distances.argmin(1)
        while True:
            names, sizes = np.unique(assigned, return_counts=True)
            if sizes.min() >= per_class:
                break
            smallest = names[sizes.argmin()]
            distances[:, smallest] = np.inf
            assigned = distances.argmin(1)
        self.superclasses = torch.from_numpy(assigned).long()
        self._uniform = ClassUniform(self.superclasses, batch_size, per_class, weights)

    def __len__(self) -> int:
        return len(self._uniform)

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch, of shape (k, number of groups)."""
        return self._uniform.batches(generator)


class SameClassPairs:
    """Sample pairs of rows of the same class.

    A pass contains every row once as the first of a pair. Its partner is drawn uniformly from the
    other rows of its class. The only row of a class has no partner and is left out.
    With weights, both rows of a pair are drawn in proportion to them.

    Parameters
    ----------
    labels : Tensor of int64, shape (n_rows,)
    batch_size : int
        Number of pairs. A batch has twice as many rows: the first rows of all pairs, then their
        partners in the same order.
    weights : Tensor of shape (n_rows,), default=None
        Positive.

    Raises
    ------
    ValueError
        If no class has two rows.

    Examples
    --------
    >>> import torch
    >>> from soft_students.methods.samplers import SameClassPairs
    >>> sampler = SameClassPairs(torch.tensor([0, 1, 0, 1, 2]), batch_size=4)
    >>> rows, partners = next(sampler.batches(torch.Generator().manual_seed(0)))
    >>> sorted(zip(rows.tolist(), partners.tolist()))  # row 4 is the only one of its class
    [(0, 2), (1, 3), (2, 0), (3, 1)]
    """

    def __init__(self, labels: Tensor, batch_size: int, weights: Tensor | None = None) -> None:
        classes = [rows for rows in _by_class(labels).values() if len(rows) > 1]
        if not classes:
            raise ValueError(
                "Pairs of one class need a class with at least 2 rows. Got "
                f"{len(labels)} rows, each the only one of its class."
            )
        sizes = torch.tensor([len(rows) for rows in classes])
        self._rows = torch.cat(classes)  # sorted by class
        self._sizes = sizes.repeat_interleave(sizes)
        self._starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        self._weights = None if weights is None else weights[self._rows].double()
        self._n_batches = math.ceil(len(self._rows) / batch_size)

    def __len__(self) -> int:
        return self._n_batches

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch, of shape (2, number of pairs)."""
        order = torch.randperm(len(self._rows), generator=generator)
        if self._weights is not None:
            order = draw_by_weight(self._weights, generator)[order]
        share = torch.rand(len(order), generator=generator, dtype=torch.float64)
        partners = self._partners(order, share)
        pairs = torch.stack([self._rows[order], self._rows[partners]])
        yield from pairs.tensor_split(self._n_batches, dim=1)

    def _partners(self, order: Tensor, share: Tensor) -> Tensor:
        """Return the place of another row of the same class, at a share of the way through them."""
        sizes, starts = self._sizes[order], self._starts[order]
        if self._weights is None:
            # a cyclic step of 1 to size - 1 within the class never returns the row itself
            return starts + (order - starts + 1 + (share * (sizes - 1)).long()) % sizes
        ends = self._weights.cumsum(0)
        own, last = self._weights[order], starts + sizes - 1
        before = ends[starts] - self._weights[starts]
        target = before + share * (ends[last] - before - own)
        target += torch.where(target >= ends[order] - own, own, 0)  # step over the row itself
        return torch.searchsorted(ends, target, right=True).clamp(starts, last)


def _by_class(labels: Tensor) -> dict[int, Tensor]:
    """Return the rows of each class that occurs."""
    order = labels.cpu().argsort(stable=True)
    names, sizes = labels.cpu().unique(return_counts=True)
    return dict(zip(names.tolist(), order.split(sizes.tolist()), strict=True))
