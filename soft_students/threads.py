"""Temporary setting of torch's thread count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Temporarily set torch's thread count to `n_jobs`; None changes nothing."""
    if n_jobs is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n_jobs)
    try:
        yield
    finally:
        torch.set_num_threads(before)
