"""The state of a training after each epoch, in a file, and back."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from soft_students.persistence import atomic_write

FORMAT = "soft-students training"
FORMAT_VERSION = 1


class Checkpoint:
    """A file that holds the state of every stage so far.

    Parameters
    ----------
    path : str or path-like
    fingerprint : str
        Of what is trained: a checkpoint of another training is refused.
    resume : bool
        Whether to go on from what the file holds, if it is there.

    Attributes
    ----------
    seconds : float
        Spent on the training so far.

    Raises
    ------
    ValueError
        If the file is damaged, of another training, or no checkpoint.
    """

    def __init__(self, path: str | os.PathLike[str], fingerprint: str, *, resume: bool) -> None:
        self._path = Path(path)
        self._fingerprint = fingerprint
        self._stages: list[dict[str, Any]] = []
        self.seconds = 0.0
        if resume and self._path.exists():
            self._read()

    def take(self, stage: int) -> dict[str, Any] | None:
        """Return the state of a stage, counted from 0; None if it has not begun."""
        return self._stages[stage] if stage < len(self._stages) else None

    def write(self, stage: int, state: dict[str, Any], seconds: float) -> None:
        """Put the state of a stage in the place of what was known of it, and write the file."""
        self._stages[stage:] = [state]
        self.seconds = seconds
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "fingerprint": self._fingerprint,
            "seconds": seconds,
            "stages": self._stages,
        }
        with atomic_write(self._path) as file:
            torch.save(content, file)

    def _read(self) -> None:
        where = f"The checkpoint '{self._path}'"
        remedy = "Pass resume=False to begin anew."
        try:
            content = torch.load(self._path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
            raise ValueError(f"{where} is damaged or no checkpoint. {remedy}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"{where} is a file of another kind. {remedy}")
        if content.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"{where} is of format {content.get('format_version')!r}; this version reads "
                f"{FORMAT_VERSION}. {remedy}"
            )
        if content.get("fingerprint") != self._fingerprint:
            raise ValueError(
                f"{where} is of a training with other parameters or other data. {remedy}"
            )
        self._stages = content["stages"]
        self.seconds = content["seconds"]
