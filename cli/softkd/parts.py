"""The work of `softkd distill --targets`: a student from a folder that `softkd label` filled."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from joblib import cpu_count
from sklearn.base import BaseEstimator

from soft_students.dask.cluster import dask_client
from soft_students.labelled import LabelledParts
from soft_students.students import get_student
from soft_students.versions import versions
from softkd.distilling import begin, make_learner, output_files, write_student
from softkd.output import plain_parameters, print_json


def distill(given: SimpleNamespace) -> None:
    """Run `softkd distill` with ``--targets``.

    Parameters
    ----------
    given : SimpleNamespace
        The options of the command.
    """
    first = begin(given)
    parts = LabelledParts(given.targets)
    learner = make_learner(given, parts.task, {}, [])
    out, checkpoint = output_files(given, given.targets.resolve().name, first)
    start = time.perf_counter()
    student = _train(learner, parts, checkpoint, given)
    if first:
        write_student(student, out, given.force, _origin(parts, given.targets))
        _report(student, parts, out, given, time.perf_counter() - start)


def _train(
    learner: BaseEstimator, parts: LabelledParts, checkpoint: Path, given: SimpleNamespace
) -> BaseEstimator:
    if get_student(given.student).from_parts == "fit":
        learner.set_params(checkpoint=os.fspath(checkpoint), resume=given.resume)
        learner.fit(parts)
        return learner.set_params(checkpoint=None, resume=False)
    from soft_students.dask import fit_xgboost  # Dask is an extra

    workers = cpu_count() if given.workers is None else given.workers
    with dask_client(given.scheduler, min(workers, len(parts))) as client:
        return fit_xgboost(learner, parts, client=client)


def _origin(parts: LabelledParts, folder: Path) -> dict[str, Any]:
    """Return the record of the rows in the student's file, as `describe_data` does for tables."""
    return {
        "name": folder.resolve().name,
        "source": "labelled parts",
        "targets": os.path.abspath(folder),
        "labelled_by": parts.teacher,
        "rows": parts.n_rows,
        "target": parts.target,
        "feature_names": None if parts.columns is None else list(parts.columns),
    }


def _report(
    student: BaseEstimator, parts: LabelledParts, out: Path, given: SimpleNamespace, seconds: float
) -> None:
    if given.as_json:
        print_json(
            {
                "student": given.student,
                "targets": str(given.targets),
                "rows": parts.n_rows,
                "parts": len(parts),
                "labelled_by": parts.teacher,
                "out": str(out),
                "bytes": out.stat().st_size,
                "parameters": plain_parameters(student),
                "seconds": seconds,
                "threads": given.threads,
                "seed": given.seed,
                "versions": versions(),
            }
        )
        return
    counted = "1 part" if len(parts) == 1 else f"{len(parts)} parts"
    click.echo(
        f"{out}: {given.student}, trained on {parts.n_rows:,} rows in {counted}, labelled by "
        f"{parts.teacher!r}, in {seconds:.0f} s"
    )
    click.echo(f"To measure it: softkd evaluate --model {out} --teacher FILE --data FILE")
