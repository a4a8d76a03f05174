"""A student's file after each epoch, to look back at how it learnt."""

from __future__ import annotations

import copy
import os
from pathlib import Path

from sklearn.base import BaseEstimator
from torch import nn

from soft_students.students.files import dumps, save


class Snapshots:
    """A folder of student files, ``epoch-0000.student`` untrained and then one an epoch.

    Parameters
    ----------
    student : estimator
        With all that it has learnt before training: classes, the shape of an input.
    folder : str or path-like
        It is made if need be.
    resume : bool
        Whether a training goes on, so that the folder may hold its snapshots.

    Raises
    ------
    FileExistsError
        If the folder holds snapshots, of another training.
    OSError
        If it cannot be made.
    """

    def __init__(
        self, student: BaseEstimator, folder: str | os.PathLike[str], *, resume: bool
    ) -> None:
        self._student = copy.copy(student)
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        if not resume and any(self._folder.glob("epoch-*.student")):
            raise FileExistsError(
                f"The folder of snapshots '{folder}' holds those of another training. Name a new "
                "folder."
            )

    def check(self, network: nn.Module) -> None:
        """Raise at once, for an untrained network, what `write` would raise during training."""
        dumps(self._with(network))

    def write(self, epoch: int, network: nn.Module) -> None:
        """Write the student as it is after an epoch; 0 is before the first."""
        save(self._with(network), self._folder / f"epoch-{epoch:04d}.student")

    def _with(self, network: nn.Module) -> BaseEstimator:
        student = copy.copy(self._student)
        student.module_ = network
        return student
