"""Training of one student by several processes, each on its own device."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sklearn.base import BaseEstimator
from torch.distributed import DistError, is_torchelastic_launched
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_Training = TypeVar("_Training")
_Trained = TypeVar("_Trained")

if multiprocessing.current_process().name != "MainProcess" or is_torchelastic_launched():
    # Fabric would print a line per process to stderr
    for _name in ("distributed", "rank_zero"):
        logging.getLogger(f"lightning_fabric.utilities.{_name}").setLevel(logging.WARNING)
# Its warning that it ends the other processes adds nothing to the error that follows.
logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)

_ADVICE = (
    "Free memory, train with fewer processes (n_devices, --devices), or go on from a checkpoint "
    "(resume=True, --resume)."
)


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
        Function at the top level of a module, called with a launched `Fabric` and `training`.
    training : object
        Second argument of `train`; pickled for other processes.
    device : str
        Device of torch ("cpu", "cuda", "cuda:1", "mps") or "auto".
    n_devices : int
        Number of devices of this host. More than one spawns as many processes, unless ``torchrun``
        has started them.
    n_nodes : int
        Number of hosts. Several need ``torchrun`` on each of them.
    precision : str
        Precision of `lightning_fabric.Fabric`.

    Returns
    -------
    object
        Result of `train` in the first process; under ``torchrun``, in this one.

    Raises
    ------
    ValueError
        If the training cannot be sent to other processes.
    ChildProcessError
        If one of several processes was killed.
    """
    from lightning_fabric import Fabric  # takes a second, which soft trees in one process save

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
    if strategy == "ddp_spawn":
        return _launch_here(fabric, train, training)
    if together:
        fabric.launch()
    with _lost_connections():
        return train(fabric, training)


def _launch_here(
    fabric: Fabric, train: Callable[[Fabric, _Training], _Trained], training: _Training
) -> _Trained:
    # as bytes: Fabric traverses its arguments, and fails on frozen dataclasses
    try:
        sent = pickle.dumps((train, training))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"The training must be pickled for several processes, but it cannot be: {error}. "
            "Define modules, teachers and callables at the top level of a file that can be "
            "imported, train in one process, or start the processes by torchrun."
        ) from error
    children, port = set(multiprocessing.active_children()), os.environ.get("MASTER_PORT")
    with tempfile.TemporaryDirectory() as folder:
        # by files: Fabric reads results only after the processes have ended, but they cannot end
        # before a result larger than the pipe is read
        result, failure = Path(folder, "trained"), Path(folder, "failed")
        try:
            fabric.launch(_train_and_write, sent, result, failure)  # type: ignore[arg-type]
        except ProcessException as error:
            if isinstance(error, ProcessExitedException):
                raise _exited(error, fabric.world_size) from error
            if failure.exists():
                raise pickle.loads(failure.read_bytes()) from error
            raise
        finally:
            # after Ctrl-C they would continue, and this process would wait for them
            for child in set(multiprocessing.active_children()) - children:
                child.terminate()
                child.join()
            # Fabric's port must not be inherited by later processes
            os.environ.pop("MASTER_PORT", None)
            if port is not None:
                os.environ["MASTER_PORT"] = port
        return pickle.loads(result.read_bytes())


def _exited(error: ProcessExitedException, n_processes: int) -> ChildProcessError:
    """Return what to raise of a process that ended without an exception."""
    ended = f"ended with the exit code {error.exit_code}"
    if error.signal_name is not None:
        ended = f"was ended by {error.signal_name}"
        if error.signal_name == "SIGKILL":
            ended += ", as the system does for lack of memory"
    return ChildProcessError(
        f"Process {error.error_index + 1} of {n_processes} that trained together {ended}. {_ADVICE}"
    )


@contextlib.contextmanager
def _lost_connections() -> Iterator[None]:
    """Say in our words that another process is gone; torch quotes a line of gloo's C++."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, DistError) and "gloo" not in str(error):
            raise
        raise ChildProcessError(
            "The connection to another process that trained together was lost: it was ended, or "
            f"its host cannot be reached. {_ADVICE}"
        ) from error


def check_processes(student: BaseEstimator) -> None:
    """Raise ValueError if a student's numbers of devices and hosts cannot be used.

    Parameters
    ----------
    student : estimator
        Student with `n_devices`, `n_nodes`, `device` and `random_state`.

    Raises
    ------
    ValueError
        If ``torchrun`` is missing or has started another number of processes, if these would draw
        different random numbers, or if `device` names a single one of several.
    """
    own = student.get_params(deep=False)
    n_devices, n_nodes, device = own["n_devices"], own["n_nodes"], own["device"]
    wanted = n_devices * n_nodes
    if not is_torchelastic_launched():
        if n_nodes > 1:
            raise ValueError(
                f"n_nodes={n_nodes} needs processes started by torchrun on each host: torchrun "
                f"--nnodes {n_nodes} --nproc-per-node {n_devices} --rdzv-backend c10d "
                "--rdzv-endpoint HOST:PORT .... Got none."
            )
    else:
        started = int(os.environ["WORLD_SIZE"])
        if started != wanted:
            raise ValueError(
                f"n_devices={n_devices} and n_nodes={n_nodes} need {wanted} processes, but "
                f"torchrun has started {started}. Pass the same numbers to both."
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
    """Return whether this process writes files: under ``torchrun``, only the first does."""
    return not is_torchelastic_launched() or os.environ["RANK"] == "0"


def _train_and_write(fabric: Fabric, sent: bytes, result: Path, failure: Path) -> None:
    try:
        train, training = pickle.loads(sent)
        with _lost_connections():
            trained = pickle.dumps(train(fabric, training))
        if fabric.is_global_zero:
            result.write_bytes(trained)
    except Exception as error:
        # the first error is the cause: other processes then fail by losing their connection
        pickled = pickle.dumps(error)
        with contextlib.suppress(FileExistsError), failure.open("xb") as file:
            file.write(pickled)
        raise
