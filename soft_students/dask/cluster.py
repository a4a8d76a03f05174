"""Connection to a Dask cluster: processes of this machine, or a running scheduler."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

#: Seconds to wait for a scheduler.
_PATIENCE = 10


#: By default, Dask makes glibc return memory at once, and each batch pays for new pages: half the
#: speed of a small network. The memory of workers is bounded here anyway.
_MALLOC = {"MALLOC_TRIM_THRESHOLD_": 2**28, "MALLOC_MMAP_THRESHOLD_": 2**25}


@contextlib.contextmanager
def dask_client(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Connect to a scheduler, or start worker processes on this machine and stop them at the end.

    Each worker process has one thread, and so have its libraries (OpenMP, BLAS).

    Parameters
    ----------
    scheduler : str or None
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``.
    workers : int
        Number of processes to start if `scheduler` is None.

    Yields
    ------
    distributed.Client

    Raises
    ------
    ImportError
        If Dask is not installed.
    OSError
        If no scheduler answers at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(
            "Several worker processes need Dask. Install it with: pip install "
            "'soft-students[scale]'"
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
            # no dashboard; Dask's other HTTP pages at any free port of the loopback address
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
            # cancelled work is no error to log
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise
