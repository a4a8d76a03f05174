"""Batching: requests that are waiting at the same time are predicted together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits


@dataclass(eq=False)
class _Request:
    rows: np.ndarray
    answers: asyncio.Future[Sequence[Any]]


class QueueFullError(Exception):
    """The queue has no room for the rows of a request."""


class Batcher:
    """Processes rows in one thread, in batches of the rows that arrived while it was busy.

    It does not wait for a batch to fill: when idle, a single row is processed at once; under load,
    batches grow.

    Parameters
    ----------
    answer : callable
        Takes an array of rows and returns a sequence of as many answers. Runs in the thread.
    max_batch_rows : int
        A batch takes further requests until it has this many rows. A request is never divided.
    max_queued_rows : int
        Upper bound for waiting rows.
    threads : int
        Threads that numerical libraries may use for one batch.
    observe : callable
        Called with the number of rows of each batch.
    """

    def __init__(
        self,
        answer: Callable[[np.ndarray], Sequence[Any]],
        *,
        max_batch_rows: int,
        max_queued_rows: int,
        threads: int = 1,
        observe: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._answer = answer
        self.max_batch_rows = max_batch_rows
        self.max_queued_rows = max_queued_rows
        self.threads = threads
        self._observe = observe
        self._waiting: deque[_Request] = deque()
        self._queued_rows = 0
        self._arrived = asyncio.Event()

    @property
    def queued_rows(self) -> int:
        """Number of waiting rows, without those in process."""
        return self._queued_rows

    async def submit(self, rows: np.ndarray) -> Sequence[Any]:
        """Return the answers to some rows, in their order.

        Raises
        ------
        QueueFullError
            Immediately, if too many rows are waiting already.
        """
        if self._queued_rows + len(rows) > self.max_queued_rows:
            raise QueueFullError
        request = _Request(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._queued_rows += len(rows)
        self._arrived.set()
        try:
            return await request.answers
        finally:
            if request in self._waiting:  # the caller was cancelled
                self._waiting.remove(request)
                self._queued_rows -= len(rows)

    async def run(self) -> None:
        """Process requests until cancelled, which also cancels all waiting requests."""
        # OpenMP limits are per thread, so the limit is set in the worker thread.
        with ThreadPoolExecutor(
            1, "predict", initializer=threadpool_limits, initargs=(self.threads,)
        ) as executor:
            try:
                while True:
                    await self._arrived.wait()
                    batch = self._take()
                    if batch:
                        await self._answer_batch(batch, executor)
                    else:
                        self._arrived.clear()
            finally:
                for request in self._waiting:
                    request.answers.cancel()

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        n_rows = 0
        while self._waiting:
            n_rows += len(self._waiting[0].rows)
            if batch and n_rows > self.max_batch_rows:
                break
            batch.append(self._waiting.popleft())
            self._queued_rows -= len(batch[-1].rows)
        return batch

    async def _answer_batch(self, batch: list[_Request], executor: ThreadPoolExecutor) -> None:
        stacked = np.concatenate([request.rows for request in batch])
        self._observe(len(stacked))
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(executor, self._answer, stacked)
        except asyncio.CancelledError:
            for request in batch:
                request.answers.cancel()
            raise
        except Exception as error:
            if len(batch) > 1:
                for request in batch:  # only the faulty one should fail
                    await self._answer_batch([request], executor)
            elif not batch[0].answers.done():
                batch[0].answers.set_exception(error)
            return
        start = 0
        for request in batch:
            if not request.answers.done():  # the caller may have been cancelled
                request.answers.set_result(answers[start : start + len(request.rows)])
            start += len(request.rows)
