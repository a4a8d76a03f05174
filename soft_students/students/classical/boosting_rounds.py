"""Checkpoints of boosted trainings, to resume an interrupted one."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from soft_students.persistence.checkpoints import Checkpoint

CHECKPOINT_INTERVAL = 10.0  # minimum seconds between checkpoints
_LARGEST_SEED = np.iinfo(np.int32).max


class BoostingRounds:
    """Progress of a boosted training.

    Trees grown on all rows and columns depend only on the model so far: such a training resumes
    after any round, to a bit-identical model. Libraries cannot resume their random draws. A
    training with draws is therefore divided into parts, each with its own seed, and resumes after
    any part.

    Parameters
    ----------
    checkpoint : Checkpoint
    n_rounds : int
    n_parts : int
        Number of parts. 1 resumes after any round.
    patience : int or None
        Stop after this many rounds without a lower loss on held-out rows.
    check : callable
        Called with bytes and a number of rounds; raises ValueError if the bytes are not a model of
        this training after as many rounds.
    stage : int, default=0
        Stage of the checkpoint.

    Attributes
    ----------
    n_done : int
        Number of finished rounds.
    model : bytes or None
        Model from which training resumes.
    losses : list of float
        Loss on the held-out rows after each round.
    best : int
        Round of the lowest loss, counted from 0; ties go to the first.

    Raises
    ------
    ValueError
        If the content of the checkpoint is damaged.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        n_rounds: int,
        *,
        n_parts: int,
        patience: int | None,
        check: Callable[[bytes, int], None],
        stage: int = 0,
    ) -> None:
        self._checkpoint, self._stage = checkpoint, stage
        self._n_rounds, self._patience = n_rounds, patience
        n_parts = min(n_parts, n_rounds)
        self._ends = [math.ceil(n_rounds * (part + 1) / n_parts) for part in range(n_parts)]
        self._before, self._began = checkpoint.seconds, time.monotonic()
        self.n_done, self.best = 0, 0
        self.model: bytes | None = None
        self.losses: list[float] = []
        kept = checkpoint.take(stage)
        if kept is not None:
            try:
                self._restore(kept, check)
            except ValueError as error:
                raise checkpoint.damaged(error) from error

    @property
    def finished(self) -> bool:
        """Whether the training is finished."""
        if self.n_done >= self._n_rounds:
            return True
        return self._patience is not None and self.n_done - 1 - self.best >= self._patience

    def parts(self, seed: int) -> Iterator[tuple[int, int]]:
        """Yield the number of remaining rounds and the seed of each remaining part."""
        for part, end in enumerate(self._ends):
            if self.n_done < end and not self.finished:
                yield end - self.n_done, (seed + part) % _LARGEST_SEED

    def end_round(self, model: Callable[[], bytes], loss: float | None) -> bool:
        """Count a round and write the model if due; return whether it was the last round."""
        self.n_done += 1
        if loss is not None:
            self.losses.append(loss)
            if loss < self.losses[self.best]:
                self.best = self.n_done - 1
        if len(self._ends) == 1 and not self.finished:
            self._checkpoint.write_if_due(self._stage, lambda: self._state(model()), self._seconds)
        return self.finished

    def end_part(self, model: bytes) -> None:
        """Store the model for the next part, and write it if due."""
        self.model = model
        if len(self._ends) > 1 and not self.finished:
            self._checkpoint.write_if_due(self._stage, lambda: self._state(model), self._seconds)

    def write(self) -> None:
        """Write the final model, before another stage."""
        if self.model is not None:
            self._checkpoint.write(self._stage, self._state(self.model), self._seconds)

    @property
    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def _state(self, model: bytes) -> dict[str, Any]:
        import torch

        kept = torch.from_numpy(np.frombuffer(model, dtype=np.uint8).copy())
        return {"rounds": self.n_done, "model": kept, "losses": list(self.losses)}

    def _restore(self, kept: dict[str, Any], check: Callable[[bytes, int], None]) -> None:
        import torch

        rounds, model, losses = (kept.get(name) for name in ("rounds", "model", "losses"))
        if type(rounds) is not int or not 1 <= rounds <= self._n_rounds:
            raise ValueError(f"its rounds must be a number from 1 to {self._n_rounds}")
        n_losses = 0 if self._patience is None else rounds
        if not isinstance(losses, list) or [type(loss) for loss in losses] != [float] * n_losses:
            raise ValueError(f"it must hold {n_losses} losses")
        if not isinstance(model, torch.Tensor) or model.dtype != torch.uint8 or model.ndim != 1:
            raise ValueError("its model must be an array of bytes")
        self.n_done, self.model, self.losses = rounds, model.numpy().tobytes(), losses
        self.best = min(range(len(losses)), key=losses.__getitem__, default=0)
        if len(self._ends) > 1 and rounds not in self._ends and not self.finished:
            raise ValueError(f"it ends after round {rounds}, within a part")
        check(self.model, rounds)


@contextmanager
def open_checkpoint(
    path: str | os.PathLike[str],
    description: Any,
    arrays: Iterable[np.ndarray | None],
    *,
    resume: bool,
) -> Iterator[Checkpoint]:
    """Open the checkpoint of a training, and remove it at the end of the training.

    Parameters
    ----------
    path : str or path-like
    description : object
        Settings of the training; its `repr` identifies them.
    arrays : iterable of ndarray or None
        Rows, targets and weights.
    resume : bool
        Whether to continue from the file, if it exists.

    Yields
    ------
    Checkpoint

    Raises
    ------
    ValueError
        If the file is damaged, of another training, or not a checkpoint.
    """
    from soft_students.persistence.checkpoints import Checkpoint  # imports torch

    digest = hashlib.sha256(repr(description).encode())
    for array in arrays:
        if array is None:
            digest.update(b"None")
        else:
            digest.update(repr((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
    checkpoint = Checkpoint(path, digest.hexdigest(), resume=resume, interval=CHECKPOINT_INTERVAL)
    yield checkpoint
    checkpoint.remove()
