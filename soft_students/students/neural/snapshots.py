"""Student files after each epoch, for the analysis of a training."""

from __future__ import annotations

import copy
import os
from pathlib import Path

from sklearn.base import BaseEstimator
from torch import nn

from soft_students.students.files import dumps, save


class Snapshots:
    """A folder of student files: ``epoch-0000.student`` untrained, then one per epoch.

    Parameters
    ----------
    student : estimator
        Student with its classes and input shape set.
    folder : str or path-like
        Folder, created if missing.
    resume : bool
        Whether a training continues, so that the folder may contain its snapshots.

    Raises
    ------
    FileExistsError
        If the folder contains snapshots of another training.
    OSError
        If the folder cannot be created.
    """

    def __init__(
        self, student: BaseEstimator, folder: str | os.PathLike[str], *, resume: bool
    ) -> None:
        self._student = copy.copy(student)
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        if not resume and any(self._folder.glob("epoch-*.student")):
            raise FileExistsError(
                f"The folder '{folder}' contains the snapshots of another training. Pass a new "
                "folder."
            )

    def check(self, network: nn.Module) -> None:
        """Raise the errors of `write` for an untrained network, before training."""
        dumps(self._with(network))

    def write(self, epoch: int, network: nn.Module) -> None:
        """Write the student after an epoch; 0 is before the first."""
        save(self._with(network), self._folder / f"epoch-{epoch:04d}.student")

    def _with(self, network: nn.Module) -> BaseEstimator:
        student = copy.copy(self._student)
        student.module_ = network
        return student
