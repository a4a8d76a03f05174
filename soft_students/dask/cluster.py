"""Where work goes: processes of this machine, or a Dask scheduler that runs already."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

#: Seconds to wait for a scheduler.
_PATIENCE = 10


#: Dask has glibc give memory back at once, so that each batch pays for fresh pages: half the speed
#: of a small network. What workers hold here is bounded anyway.
_MALLOC = {"MALLOC_TRIM_THRESHOLD_": 2**28, "MALLOC_MMAP_THRESHOLD_": 2**25}


@contextlib.contextmanager
def dask_client(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Connect to a scheduler, or start worker processes on this machine and stop them at the end.

    Each worker process has one thread; its own libraries (OpenMP, BLAS) have one, too.

    Parameters
    ----------
    scheduler : str or None
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``.
    workers : int
        Processes to start without a scheduler.

    Yields
    ------
    distributed.Client

    Raises
    ------
    ImportError
        Without Dask.
    OSError
        If there is no scheduler at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(
            "Work on several processes needs Dask. Install it with: "
            "pip install 'soft-students[scale]'"
        ) from error
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise OSError(
                f"There is no Dask scheduler at '{scheduler}'. Start one with 'dask scheduler'; "
                "it prints its address, such as tcp://10.0.0.1:8786."
            ) from error
        with client:
            yield client
        return
    with (
        dask.config.set(
            {
                "distributed.nanny.pre-spawn-environ": dask.config.get(
                    "distributed.nanny.pre-spawn-environ"
                )
                | _MALLOC
            }
        ),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # No dashboard; what Dask serves beside it, at any free port of the loopback address.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            preload=["soft_students.dask.preload"],
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        try:
            yield client
        except KeyboardInterrupt:
            # What is given up now is no error to log.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise
