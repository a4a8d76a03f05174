"""Processes that train one student together, each on a device of its own."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, TypeVar

from sklearn.base import BaseEstimator
from torch.distributed import is_torchelastic_launched
from torch.multiprocessing import ProcessRaisedException

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_Training = TypeVar("_Training")
_Trained = TypeVar("_Trained")

#: What a process may end with that its user can do something about.
_TOLD = {error.__name__: error for error in (FloatingPointError, MemoryError, ValueError)}


def launch(
    train: Callable[[Fabric, _Training], _Trained],
    training: _Training,
    *,
    device: str,
    n_devices: int,
    n_nodes: int,
    precision: str = "32-true",
) -> _Trained:
    """Train on one device or several.

    Parameters
    ----------
    train : callable
        Of the top level of a module. Called with a launched `Fabric` and `training`.
    training : object
        What to train; it is pickled for other processes.
    device : str
        Of torch: "cpu", "cuda", "cuda:1", "mps"; or "auto".
    n_devices : int
        Of this host. More than one starts as many processes, by spawning; under ``torchrun``, which
        has started them already, none.
    n_nodes : int
        Hosts. Several need ``torchrun`` on each of them.
    precision : str
        As `lightning_fabric.Fabric` takes it.

    Returns
    -------
    object
        What `train` returned in the first process; under ``torchrun``, in this one.
    """
    from lightning_fabric import Fabric  # takes a second: soft trees in one process need none

    together = n_devices * n_nodes > 1
    strategy = "auto"
    if together:
        strategy = "ddp" if is_torchelastic_launched() else "ddp_spawn"
    accelerator, _, index = device.partition(":")
    fabric = Fabric(
        accelerator=accelerator,
        devices=[int(index)] if index and not together else n_devices,
        num_nodes=n_nodes,
        strategy=strategy,
        precision=precision,  # type: ignore[arg-type]
    )
    if not together:
        return train(fabric, training)
    # As bytes: fabric would walk through what it sends, and refuses frozen dataclasses in it.
    sent = pickle.dumps((train, training))
    if strategy == "ddp":
        return pickle.loads(fabric.launch(_train, sent))  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        # By a file: fabric waits for the processes to end before it reads what they return, and
        # more than a pipe holds would keep them from it.
        answer = os.path.join(folder, "trained")
        try:
            fabric.launch(_train_and_write, sent, answer)  # type: ignore[arg-type]
        except ProcessRaisedException as error:
            kind, _, message = str(error).strip().splitlines()[-1].partition(": ")
            if kind in _TOLD:
                raise _TOLD[kind](message) from error
            raise
        with open(answer, "rb") as file:
            return pickle.load(file)


def check_processes(student: BaseEstimator) -> None:
    """Refuse numbers of processes that cannot train together.

    Parameters
    ----------
    student : estimator
        With the parameters `n_devices`, `n_nodes`, `device` and `random_state`.

    Raises
    ------
    ValueError
        If ``torchrun`` is missing, or has started another number of processes, or these would
        draw other random numbers; or if the device is one, and shall be several.
    """
    own = student.get_params(deep=False)
    n_devices, n_nodes, device = own["n_devices"], own["n_nodes"], own["device"]
    wanted = n_devices * n_nodes
    if not is_torchelastic_launched():
        if n_nodes > 1:
            raise ValueError(
                f"n_nodes={n_nodes} needs the processes to be started on each host: torchrun "
                f"--nnodes {n_nodes} --nproc-per-node {n_devices} --rdzv-backend c10d "
                "--rdzv-endpoint HOST:PORT .... Got none that torchrun has started."
            )
    else:
        started = int(os.environ["WORLD_SIZE"])
        if started != wanted:
            raise ValueError(
                f"n_devices={n_devices} and n_nodes={n_nodes} make {wanted} processes, and "
                f"torchrun has started {started}. Give both the same numbers."
            )
        if wanted > 1 and not isinstance(own["random_state"], Integral):
            raise ValueError(
                "The processes that torchrun starts must draw the same random numbers: "
                f"random_state must be an int. Got {own['random_state']!r}."
            )
    if wanted > 1 and ":" in device:
        raise ValueError(
            f"device={device!r} names one device, and n_devices={n_devices}, n_nodes={n_nodes} ask "
            f"for {wanted}. Set device={device.partition(':')[0]!r}."
        )


def is_first_process() -> bool:
    """Tell whether this process is to write files: under ``torchrun``, only the first is."""
    return not is_torchelastic_launched() or os.environ["RANK"] == "0"


def _train(fabric: Fabric, sent: bytes) -> bytes:
    train, training = pickle.loads(sent)
    return pickle.dumps(train(fabric, training))


def _train_and_write(fabric: Fabric, sent: bytes, answer: str) -> None:
    trained = _train(fabric, sent)
    if fabric.is_global_zero:
        with open(answer, "wb") as file:
            file.write(trained)
