"""Torch's number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import effective_n_jobs


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Temporarily set torch's number of threads.

    Parameters
    ----------
    n_jobs : int or None
        -1 takes all cores, as everywhere in scikit-learn. None leaves the number as it is.
    """
    if n_jobs is None:
        yield
        return
    before = torch.get_num_threads()
    # joblib would grant a positive number only where it may start as many workers
    torch.set_num_threads(n_jobs if n_jobs > 0 else effective_n_jobs(n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)
