"""Runs work in independent parts, each with a result file, so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from soft_students.persistence.plain_json import write_json
from soft_students.resumable import run_missing

Part = Mapping[str, Any]


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
    yield from run_missing(dict(parts), read_part, partial(_run_and_keep, run), n_jobs=n_jobs)


def _run_and_keep(
    run: Callable[[Path, Part], dict[str, Any]], path: Path, part: Part
) -> dict[str, Any]:
    result = run(path, part)
    write_json(path, {"part": dict(part), "result": result})
    return result
