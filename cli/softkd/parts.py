"""The other way of `softkd distill`: a student from a folder that `softkd label` has filled."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from joblib import cpu_count
from sklearn.base import BaseEstimator

from soft_students.dask.cluster import dask_client
from soft_students.labelled import LabelledParts
from soft_students.students.files import save
from soft_students.students.processes import is_first_process
from softkd.options import plain_parameters, print_json, versions

#: Students that learn from more rows than memory holds.
STUDENTS = ("soft_tree", "neural", "xgboost")

#: Options that name or make rows, or say who teaches: the parts have theirs.
_OF_ROWS = {
    "teacher_paths": "--teacher",
    "data": "--data",
    "data_dir": "--data-dir",
    "target": "--target",
    "arch": "--arch",
    "input_shape": "--input-shape",
    "trust": "--trust",
    "transfer": "--transfer",
    "transfer_settings": "--transfer-set",
    "unlabeled": "--unlabeled",
    "baseline": "--baseline",
}


def check_usage(ctx: click.Context) -> None:
    """Refuse options that do not go with each other or with the student."""
    options = ctx.params
    if options["targets"] is None:
        if not options["teacher_paths"]:
            raise click.UsageError(
                "Name who teaches: --teacher FILE, or --targets FOLDER with what 'softkd label' "
                "wrote."
            )
        if options["workers"] is not None or options["scheduler"] is not None:
            raise click.UsageError(
                "--workers and --scheduler are for --targets with --student xgboost."
            )
        return
    given = [
        option
        for name, option in _OF_ROWS.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and options[name] not in ("none", False)
    ]
    if given:
        raise click.UsageError(
            "--targets holds rows and what a teacher says of them, and no test rows. Leave out "
            f"{', '.join(given)}."
        )
    student = options["student"]
    if student not in STUDENTS:
        raise click.UsageError(
            "--targets may hold more rows than memory, from which "
            f"{', '.join(STUDENTS[:-1])} and {STUDENTS[-1]} learn. Got --student {student}."
        )
    if student != "xgboost" and (options["workers"], options["scheduler"]) != (None, None):
        raise click.UsageError(
            "--workers and --scheduler are for --student xgboost. Several processes train "
            f"--student {student} with --devices and --num-nodes."
        )
    if student == "xgboost" and options["resume"]:
        raise click.UsageError(
            "--student xgboost keeps no checkpoint when workers train it on --targets. Leave out "
            "--resume."
        )
    if options["workers"] is not None and options["scheduler"] is not None:
        raise click.UsageError("--workers starts processes here; --scheduler has its own.")


def distill_parts(
    learner: BaseEstimator,
    parts: LabelledParts,
    out: Path,
    checkpoint: Path,
    options: Mapping[str, Any],
) -> None:
    """Train on ``--targets``, write the student, and print what it was trained on.

    Parameters
    ----------
    learner : estimator
    parts : LabelledParts
    out, checkpoint : Path
    options : dict
        Of the command.
    """
    start = time.perf_counter()
    if options["student"] == "xgboost":
        from soft_students.dask import fit_xgboost  # Dask is an extra

        workers = cpu_count() if options["workers"] is None else options["workers"]
        with dask_client(options["scheduler"], min(workers, len(parts))) as client:
            learner = fit_xgboost(learner, parts, client=client)
    else:
        learner.set_params(checkpoint=os.fspath(checkpoint), resume=options["resume"])
        learner.fit(parts)
        learner.set_params(checkpoint=None, resume=False)
    seconds = time.perf_counter() - start
    if not is_first_process():
        return
    if "verbose" in learner.get_params(deep=False):
        learner.set_params(verbose=0)
    save(learner, out, overwrite=options["force"], data=_described(parts, options["targets"]))
    if options["as_json"]:
        print_json(
            {
                "student": options["student"],
                "targets": str(options["targets"]),
                "rows": parts.n_rows,
                "parts": len(parts),
                "labelled_by": parts.teacher,
                "out": str(out),
                "bytes": out.stat().st_size,
                "parameters": plain_parameters(learner),
                "seconds": seconds,
                "threads": options["threads"],
                "seed": options["seed"],
                "versions": versions(),
            }
        )
        return
    counted = "1 part" if len(parts) == 1 else f"{len(parts)} parts"
    click.echo(
        f"{out}: {options['student']}, trained on {parts.n_rows:,} rows in {counted}, labelled by "
        f"{parts.teacher!r}, in {seconds:.0f} s"
    )
    click.echo(f"To measure it: softkd evaluate --model {out} --teacher FILE --data FILE")


def _described(parts: LabelledParts, folder: Path) -> dict[str, Any]:
    """Return what the file of the student keeps of the rows, as `describe_data` does of a table."""
    return {
        "name": folder.resolve().name,
        "source": "labelled parts",
        "targets": os.path.abspath(folder),
        "labelled_by": parts.teacher,
        "rows": parts.n_rows,
        "target": parts.target,
        "feature_names": None if parts.columns is None else list(parts.columns),
    }
