"""Thread count of torch."""

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
        -1 uses all cores, as in scikit-learn. None keeps the current number.
    """
    if n_jobs is None:
        yield
        return
    before = torch.get_num_threads()
    # effective_n_jobs would reduce a positive number where joblib can start fewer workers
    torch.set_num_threads(n_jobs if n_jobs > 0 else effective_n_jobs(n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)
