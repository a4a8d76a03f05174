"""Training of a soft tree in one process or several."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.progress import TextColumn
from torch import Tensor

from soft_students.persistence.checkpoints import Checkpoint
from soft_students.progress import progress_bar
from soft_students.students.processes import launch
from soft_students.students.soft_tree import routing
from soft_students.students.soft_tree.kernel import LeafLoss, Total, alone
from soft_students.students.soft_tree.parameters import TreeParameters
from soft_students.students.soft_tree.settings import TrainingSettings
from soft_students.students.soft_tree.trainer import Trainer, TrainingHistory, train
from soft_students.students.soft_tree.training_rows import TrainingRows
from soft_students.threads import torch_threads

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class TreeTraining:
    """Picklable description of a training.

    Parameters
    ----------
    title : str
        Title of the progress bar.
    parameters : TreeParameters
        Initial parameters, on the CPU.
    leaf_loss : LeafLoss
    settings : TrainingSettings
    rows : TrainingRows
    random_state : RandomState
        Random state of the order of the rows.
    validation_loss : callable or None
        Maps parameters to a loss on held-out rows.
    checkpoint : Checkpoint or None
    n_threads : int or None
        Threads per process; None keeps torch's setting.
    verbose : bool
    """

    title: str
    parameters: TreeParameters
    leaf_loss: LeafLoss
    settings: TrainingSettings
    rows: TrainingRows
    random_state: np.random.RandomState
    validation_loss: Callable[[TreeParameters], float] | None
    checkpoint: Checkpoint | None
    n_threads: int | None
    verbose: bool

    def run(self, n_devices: int, n_nodes: int) -> tuple[TreeParameters, TrainingHistory]:
        """Train on one device, or on several with one process each.

        Returns
        -------
        parameters : TreeParameters
            Trained parameters, on the CPU.
        history : TrainingHistory
        """
        if n_devices * n_nodes == 1:
            return self._train(alone, writes=True)
        return launch(
            _train_together,
            self,
            device=self.settings.device,
            n_devices=n_devices,
            n_nodes=n_nodes,
        )

    def _train(self, total: Total, writes: bool) -> tuple[TreeParameters, TrainingHistory]:
        settings = self.settings
        start = self.parameters.to(settings.device)
        trainer = Trainer(start, self.leaf_loss, settings, total)
        epochs = settings.n_epochs(self.rows.n)
        with (
            torch_threads(self.n_threads),
            progress(self.title, epochs, shown=self.verbose and writes) as on_epoch,
        ):
            parameters, history = train(
                trainer,
                self.rows,
                random_state=self.random_state,
                validation_loss=self.validation_loss,
                on_epoch=on_epoch,
                checkpoint=self.checkpoint,
                writes=writes,
            )
        return parameters.to("cpu"), history


def _train_together(
    fabric: Fabric, training: TreeTraining
) -> tuple[TreeParameters, TrainingHistory]:
    measured = training.validation_loss
    rows = copy.copy(training.rows)
    rows.share = (fabric.global_rank, fabric.world_size)
    together = replace(
        training,
        # All processes start from the same values, though hosts may round differently.
        parameters=fabric.broadcast(training.parameters),
        settings=replace(training.settings, device=str(fabric.device)),
        rows=rows,
        # Other hosts may have no access to the file of the first.
        checkpoint=fabric.broadcast(training.checkpoint),
        # One process decides when all stop: others may round differently.
        validation_loss=None if measured is None else lambda p: fabric.broadcast(measured(p)),
    )

    def total(tensor: Tensor) -> Tensor:
        torch.distributed.all_reduce(tensor)  # fabric's method adds a barrier
        return tensor

    return together._train(total, fabric.is_global_zero)


def held_out_loss(
    X: np.ndarray, loss: LeafLoss, targets: Tensor, weights: Tensor, parameters: TreeParameters
) -> float:
    """Return the loss of the tree's mean prediction on rows in the unit of training.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    loss : LeafLoss
        Loss with a mixture weight of one.
    targets : Tensor of shape (n_outputs, n)
    weights : Tensor of shape (n,)
        Weights that sum to one.
    parameters : TreeParameters
    """
    betas = np.ones(1, dtype=X.dtype)
    if parameters.log_betas is not None:
        betas = parameters.log_betas.exp().cpu().numpy()
    activations = routing.gate_activations(
        X,
        parameters.gate_weights.cpu().numpy(),
        parameters.gate_biases.cpu().numpy(),
        betas,
        None,
    )
    paths = routing.path_probabilities(activations)[:, activations.shape[1] :]
    leaf_paths = torch.from_numpy(np.ascontiguousarray(paths.T))
    return float(loss(leaf_paths, parameters.leaves.cpu(), targets, weights)[0])


@contextmanager
def progress(
    title: str, epochs: int, *, shown: bool
) -> Iterator[Callable[[int, TrainingHistory], None]]:
    """Show a progress bar on a terminal's stderr; yield a function to call after each epoch."""
    epochs_and_loss = "epoch {task.completed}/{task.total}  loss {task.fields[loss]:.4f}"
    with progress_bar(TextColumn(epochs_and_loss), shown=shown) as bar:
        task = bar.add_task(title, total=epochs, loss=math.nan)

        def on_epoch(epoch: int, history: TrainingHistory) -> None:
            bar.update(task, completed=epoch + 1, loss=history.loss[-1])

        yield on_epoch
