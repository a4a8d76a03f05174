"""Runs work in independent parts, each with a result file, so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from soft_students.persistence import atomic_write

Part = Mapping[str, Any]


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically.

    Parameters
    ----------
    path : Path
    value : object
        Plain JSON types, without NaN and infinity.
    """
    with atomic_write(path) as file:
        file.write((json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_part(path: Path, part: Part) -> dict[str, Any] | None:
    """Return the result of a finished part, or None.

    Parameters
    ----------
    path : Path
    part : mapping
        Settings of the part, which the file stores with the result.

    Returns
    -------
    dict or None

    Raises
    ------
    ValueError
        If the file is damaged, or its settings differ.
    """
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text())
        result, about = kept["result"], kept["part"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"'{path}' is damaged. Delete it and run again.") from error
    if about != json.loads(json.dumps(dict(part))):
        raise ValueError(
            f"'{path}' was made with other settings. Choose another folder, or delete this one."
        )
    return result


def run_parts(
    parts: Iterable[tuple[Path, Part]],
    run: Callable[[Path, Part], dict[str, Any]],
    *,
    n_jobs: int,
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Run parts in parallel, and yield results in order of completion, earlier runs first.

    Parameters
    ----------
    parts : iterable of (Path, mapping)
        Result file and settings of each part; settings are plain JSON values.
    run : callable
        Called with both in another process; returns the result as plain JSON values.
    n_jobs : int
        Number of processes.

    Yields
    ------
    path : Path
    result : dict
    """
    missing = []
    for path, part in parts:
        result = read_part(path, part)
        if result is None:
            missing.append((path, part))
        else:
            yield path, result
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
    yield from parallel(delayed(_run_and_keep)(run, path, part) for path, part in missing)


def _run_and_keep(
    run: Callable[[Path, Part], dict[str, Any]], path: Path, part: Part
) -> tuple[Path, dict[str, Any]]:
    result = run(path, part)
    write_json(path, {"part": dict(part), "result": result})
    return path, result
