"""Resumable work in independent parts: runs several at a time and skips finished ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

Key = TypeVar("Key")
Part = TypeVar("Part")
Result = TypeVar("Result")


def run_missing(
    parts: Mapping[Key, Part],
    earlier: Callable[[Key, Part], Result | None],
    run: Callable[[Key, Part], Result],
    *,
    n_jobs: int = 1,
    threads: int | None = None,
    died: Callable[[Key], Result] | None = None,
) -> Iterator[tuple[Key, Result]]:
    """Run the parts without a stored result, and yield each result as soon as it is ready.

    Parameters
    ----------
    parts : dict
        Parts by the name or file of their results.
    earlier : callable
        Called with a name and a part; returns the result of an earlier run, or None.
    run : callable
        Called with the same; returns the result, and stores it where `earlier` finds it.
    n_jobs : int, default=1
        Parts that run at the same time. One runs in this process, several in separate ones.
    threads : int, default=None
        Total threads of all processes. None divides the cores among them.
    died : callable, default=None
        Called with the name of a part whose process has died; returns a substitute result. None
        raises an error.

    Yields
    ------
    name : key of `parts`
    result : object
        Results of earlier runs first.

    Raises
    ------
    RuntimeError
        If the process of a part has died.
    """
    missing = {}
    for key, part in parts.items():
        result = earlier(key, part)
        if result is None:
            missing[key] = part
        else:
            yield key, result
    n_jobs = min(joblib.effective_n_jobs(n_jobs), max(1, len(missing)))
    if n_jobs == 1:
        for key, part in missing.items():
            yield key, run(key, part)
        return
    threads = None if threads is None else max(1, threads // n_jobs)
    try:
        for key, result in _in_processes(run, missing, n_jobs, threads):
            del missing[key]
            yield key, result
    except TerminatedWorkerError:
        # joblib does not report the failed part: each remaining one gets its own process
        for key in list(missing):
            try:
                yield from _in_processes(run, {key: missing[key]}, 2, threads)
            except TerminatedWorkerError as error:
                if died is None:
                    raise RuntimeError(
                        f"The process of {key} died. Was it out of memory? Run fewer parts at a "
                        "time; what is finished is kept."
                    ) from error
                yield key, died(key)


def _in_processes(
    run: Callable[[Key, Part], Result],
    parts: Mapping[Key, Part],
    n_jobs: int,
    threads: int | None,
) -> Iterator[tuple[Key, Result]]:
    with joblib.parallel_config("loky", inner_max_num_threads=threads):
        parallel: Any = joblib.Parallel(
            n_jobs=n_jobs,
            batch_size=1,
            pre_dispatch="n_jobs",
            return_as="generator_unordered",
            mmap_mode="c",  # large arrays are shared, and copied only on write
        )
        yield from parallel(
            joblib.delayed(_named)(run, key, part) for key, part in dict(parts).items()
        )


def _named(run: Callable[[Key, Part], Result], key: Key, part: Part) -> tuple[Key, Result]:
    return key, run(key, part)
