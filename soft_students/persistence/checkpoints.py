"""Checkpoints: the state of an unfinished training in a file. Imports torch."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from soft_students.persistence.atomic import atomic_write
from soft_students.persistence.errors import BundleError
from soft_students.persistence.tensors import load_tensors

FORMAT = "soft-students training"
FORMAT_VERSION = 1


class Checkpoint:
    """A file with the state of all stages of a training so far.

    Parameters
    ----------
    path : str or path-like
    fingerprint : str
        Digest of parameters and data: a checkpoint with another one raises an error.
    resume : bool
        Whether to continue from the file, if it exists.
    interval : float, default=0.0
        Minimum seconds between two writes, so that short epochs do not mostly write to the disk.

    Attributes
    ----------
    seconds : float
        Training time so far.

    Raises
    ------
    ValueError
        If the file is damaged, of another training, or no checkpoint.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fingerprint: str,
        *,
        resume: bool,
        interval: float = 0.0,
    ) -> None:
        self._path = Path(path)
        self._fingerprint = fingerprint
        self._interval = interval
        self._written = time.monotonic()
        self._stages: list[dict[str, Any]] = []
        self.seconds = 0.0
        if resume and self._path.exists():
            self._read()

    def take(self, stage: int) -> dict[str, Any] | None:
        """Return the state of a stage, counted from 0; None if it has not started."""
        return self._stages[stage] if stage < len(self._stages) else None

    def keep(self, stage: int, state: dict[str, Any]) -> None:
        """Store the state of a finished stage, for the next write of the file."""
        self._stages[stage:] = [state]

    def write(self, stage: int, state: dict[str, Any], seconds: float) -> None:
        """Replace the state of a stage and of all later ones, and write the file."""
        self.keep(stage, state)
        self.seconds = seconds
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "fingerprint": self._fingerprint,
            "seconds": seconds,
            "stages": self._stages,
        }
        with atomic_write(self._path) as file:
            write_torch(content, file)
        self._written = time.monotonic()

    def write_if_due(self, stage: int, state: Callable[[], dict[str, Any]], seconds: float) -> None:
        """Call `write` with the result of `state`, if the interval since the last write is over."""
        if time.monotonic() - self._written >= self._interval:
            self.write(stage, state(), seconds)

    def remove(self) -> None:
        """Remove the file, at the end of the training."""
        self._path.unlink(missing_ok=True)

    def damaged(self, why: object) -> ValueError:
        """Return an error that states why the file cannot be used."""
        return self._refusal(f"is damaged or not a checkpoint: {why}")

    def _refusal(self, what: str) -> ValueError:
        return ValueError(
            f"The checkpoint '{self._path}' {what}. Pass resume=False (--force to a command) to "
            "start again."
        )

    def _read(self) -> None:
        try:
            content = load_tensors(self._path)
        except BundleError as error:
            raise self.damaged(error) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._refusal("is a file of another kind")
        if content.get("format_version") != FORMAT_VERSION:
            raise self._refusal(
                f"is of format {content.get('format_version')!r:.80}; this version reads "
                f"{FORMAT_VERSION}"
            )
        if content.get("fingerprint") != self._fingerprint:
            raise self._refusal("is of a training with other parameters or other data")
        stages, seconds = content.get("stages"), content.get("seconds")
        if (
            not isinstance(stages, list)
            or not all(isinstance(stage, dict) for stage in stages)
            or not isinstance(seconds, float)
        ):
            raise self.damaged("its stages are missing")
        self._stages, self.seconds = stages, seconds


def write_torch(content: Any, file: BinaryIO) -> None:
    """Write like `torch.save`, but raise OSError on a full disk, not a bare RuntimeError."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    file.write(buffer.getbuffer())


def kept_random(random_state: np.random.RandomState) -> list[Any]:
    """Return the state of a numpy generator in values that a checkpoint can hold."""
    name, keys, *position = random_state.get_state()
    # signed: torch cannot unpickle uint32, and the state is sent to other processes
    return [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *position]


def numpy_random(state: list[Any]) -> tuple[Any, ...]:
    """Convert a state of `kept_random` to the argument of `RandomState.set_state`."""
    name, keys, *position = state
    return (name, keys.numpy().astype(np.uint32), *position)
