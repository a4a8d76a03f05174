"""XGBoost's objective for soft targets in the memory of a Dask cluster."""

from __future__ import annotations

import distributed
import numpy as np
from xgboost import DMatrix

from soft_students.students.classical.soft_cross_entropy import SoftCrossEntropy


class BlockSoftCrossEntropy:
    """The soft cross-entropy, with targets in the memory of the cluster.

    XGBoost calls it on each worker with that worker's rows, which are some whole blocks in order.
    The label of each row is the number of its block.
    """

    def __init__(self, name: str, temperature: float) -> None:
        self._name = name
        self._temperature = temperature
        # by matrix: workers that are threads of one process share this object
        self._objectives: dict[int, SoftCrossEntropy] = {}

    def __call__(self, margins: np.ndarray, data: DMatrix) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and Hessian with respect to the margins of this worker's rows."""
        objective = self._objectives.get(id(data))
        if objective is None:
            targets = self._targets(data.get_label().astype(np.int64))
            weights = np.ones(len(targets))
            objective = SoftCrossEntropy(targets, weights, self._temperature)
            self._objectives[id(data)] = objective
        return objective(margins, data)

    def _targets(self, numbers: np.ndarray) -> np.ndarray:
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        lengths = np.diff(starts, append=len(numbers))
        with distributed.worker_client(separate_thread=False) as client:
            blocks = client.get_dataset(self._name)
            parts = client.gather([blocks[number] for number in numbers[starts]])
        for number, length, part in zip(numbers[starts], lengths, parts, strict=True):
            if len(part) != length:
                raise ValueError(
                    f"Block {number} of X has {length} rows, but that of the targets {len(part)}. "
                    "They must correspond row by row."
                )
        return np.concatenate(parts)
