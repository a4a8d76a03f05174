"""Requests that wait are predicted at once, and each gets its own answer."""

import asyncio
import threading

import numpy as np
import pytest

from soft_students.serving.batching import Batcher, QueueFullError


class Slow:
    """Answers each row by its value, when it is let."""

    def __init__(self):
        self.go = threading.Event()
        self.batches = []

    def __call__(self, rows):
        assert self.go.wait(10)
        self.batches.append(rows[:, 0].tolist())
        if -1 in rows:
            raise ValueError("a row that cannot be answered")
        return rows[:, 0].tolist()


def rows(*values):
    return np.array(values, dtype=float)[:, None]


def run(talk, **settings):
    """Run a conversation with a batcher whose first answer waits for `go`."""
    slow = Slow()
    batcher = Batcher(slow, **{"max_batch_rows": 100, "max_queued_rows": 100, **settings})

    async def main():
        task = asyncio.create_task(batcher.run())
        try:
            return await talk(batcher, slow)
        finally:
            slow.go.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(main()), slow.batches


async def first_in_work(batcher):
    """Submit a row, and wait until the thread has it."""
    first = asyncio.create_task(batcher.submit(rows(0)))
    while not first.done() and (batcher.queued_rows or not first.get_coro().cr_await):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    return first


def test_what_waits_is_one_batch_and_answers_come_in_order():
    async def talk(batcher, slow):
        first = await first_in_work(batcher)
        waiting = [asyncio.create_task(batcher.submit(rows(10 * i, 10 * i + 1))) for i in (1, 2, 3)]
        await asyncio.sleep(0.01)
        assert batcher.queued_rows == 6
        slow.go.set()
        return await first, await asyncio.gather(*waiting)

    (first, answers), batches = run(talk)
    assert first == [0]
    assert answers == [[10, 11], [20, 21], [30, 31]]
    assert batches == [[0], [10, 11, 20, 21, 30, 31]]


def test_a_batch_ends_at_its_limit_but_a_request_is_not_divided():
    async def talk(batcher, slow):
        first = await first_in_work(batcher)
        waiting = [
            asyncio.create_task(batcher.submit(rows(*values)))
            for values in ([1], [2, 3], [4, 5, 6, 7], [8])
        ]
        await asyncio.sleep(0.01)
        slow.go.set()
        await first
        return await asyncio.gather(*waiting)

    answers, batches = run(talk, max_batch_rows=3)
    assert answers == [[1], [2, 3], [4, 5, 6, 7], [8]]
    assert batches == [[0], [1, 2, 3], [4, 5, 6, 7], [8]]


def test_only_the_request_at_fault_fails():
    async def talk(batcher, slow):
        first = await first_in_work(batcher)
        waiting = [asyncio.create_task(batcher.submit(rows(value))) for value in (1, -1, 2)]
        await asyncio.sleep(0.01)
        slow.go.set()
        await first
        return await asyncio.gather(*waiting, return_exceptions=True)

    (one, failed, two), _ = run(talk)
    assert (one, two) == ([1], [2])
    assert isinstance(failed, ValueError)


def test_a_full_queue_refuses_at_once_and_takes_more_later():
    async def talk(batcher, slow):
        first = await first_in_work(batcher)
        second = asyncio.create_task(batcher.submit(rows(1, 2)))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError):
            await batcher.submit(rows(3))
        slow.go.set()
        await asyncio.gather(first, second)
        return await batcher.submit(rows(3))

    answer, _ = run(talk, max_queued_rows=2)
    assert answer == [3]


def test_who_gives_up_is_not_predicted():
    async def talk(batcher, slow):
        first = await first_in_work(batcher)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await batcher.submit(rows(1))
        second = asyncio.create_task(batcher.submit(rows(2)))
        await asyncio.sleep(0.01)
        slow.go.set()
        await first
        return await second

    answer, batches = run(talk)
    assert answer == [2]
    assert batches == [[0], [2]]


def test_who_waits_at_the_end_is_cancelled():
    async def main():
        slow = Slow()
        batcher = Batcher(slow, max_batch_rows=1, max_queued_rows=10)
        task = asyncio.create_task(batcher.run())
        first = await first_in_work(batcher)
        second = asyncio.create_task(batcher.submit(rows(1)))
        await asyncio.sleep(0.01)
        slow.go.set()
        task.cancel()
        return await asyncio.gather(task, first, second, return_exceptions=True)

    ends = asyncio.run(main())
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


def test_batches_are_observed():
    seen = []

    async def talk(batcher, slow):
        slow.go.set()
        await batcher.submit(rows(1, 2, 3))

    run(talk, observe=seen.append)
    assert seen == [3]
