"""`softkd distill`: the main job."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from click.core import ParameterSource

from soft_students.students.registry import available
from soft_students.transfer import TRANSFER_NAMES
from softkd.completion import methods, networks, offer, students
from softkd.options import (
    cluster_options,
    data_options,
    device_options,
    kind_option,
    output_options,
    resume_option,
    seed_option,
    teacher_options,
    test_data_option,
    threads_option,
)
from softkd.parameter_types import NumberOrAuto, Setting, Student

#: Options that name or make rows, or name the teacher: a folder of --targets has its own.
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
    "classes": "--classes",
    "kind": "--kind",
    "test_data": "--test-data",
    "unlabeled": "--unlabeled",
    "baseline": "--baseline",
}


@click.command()
@click.option(
    "--teacher",
    "teacher_paths",
    multiple=True,
    type=click.Path(),
    help="The teacher file; several are an ensemble, which teaches the mean of their logits.",
)
@click.option(
    "--targets",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder written by 'softkd label', in place of --teacher and --data: for more rows than "
    "memory holds, which not every student takes.",
)
@click.option(
    "--student",
    type=Student(),
    metavar="NAME",
    shell_complete=offer(students),
    default="soft_tree",
    show_default=True,
    help="Kind of student, one of 'softkd students'.",
)
@data_options
@test_data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The student file [default: STUDENT-DATA.student or STUDENT-FOLDER.student].",
)
@click.option("--depth", type=click.IntRange(1, 16), help="Levels of gates in a tree.")
@click.option(
    "--temperature",
    type=NumberOrAuto(click.FLOAT),
    metavar="FLOAT|auto",
    help="Temperature of the soft targets, above 0. auto: chosen on held-out training rows.",
)
@click.option(
    "--hard-weight",
    type=NumberOrAuto(click.FloatRange(0, 1)),
    metavar="FLOAT|auto",
    help="Weight of the true labels beside the soft targets, from 0 to 1. auto: chosen on held-out "
    "training rows.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training rows.")
@click.option(
    "--prediction",
    type=click.Choice(["expectation", "greatest_path", "greedy"]),
    help="How a soft tree predicts.",
)
@click.option(
    "--module",
    shell_complete=offer(networks),
    help="Network of a neural student: small_cnn, resnet20, wrn_16_2, mlp, ...",
)
@click.option(
    "--method",
    shell_complete=offer(methods, several=True),
    help="How a neural student learns: one of 'softkd methods', or several separated by commas. "
    "Their parameters: --set rkd.angle_weight=50.",
)
@click.option(
    "--transfer",
    type=click.Choice(["auto", "none", *TRANSFER_NAMES]),
    default="auto",
    show_default=True,
    help="Rows made from the training rows, which the teacher labels, too. auto: distorted copies "
    "for images, none for tables. How many: --set transfer_copies=N.",
)
@click.option(
    "--transfer-set",
    "transfer_settings",
    type=Setting(),
    multiple=True,
    help="A parameter of the transfer set, e.g. --transfer munge --transfer-set local_variance=2.",
)
@click.option(
    "--unlabeled",
    metavar="FILE",
    type=click.Path(),
    help="Further rows for the teacher to label: a .csv or .parquet (columns are found by name, "
    "others are ignored), or an .npz with the array X.",
)
@click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    help="Any other parameter of the student, e.g. --set batch_size=128.",
)
@click.option(
    "--baseline/--no-baseline",
    default=True,
    show_default=True,
    help="Also train the same student on labels alone, for comparison.",
)
@seed_option
@resume_option
@device_options
@cluster_options
@teacher_options
@kind_option
@threads_option
@output_options
@click.pass_context
def distill(ctx: click.Context, **options: Any) -> None:
    """Train a student on a teacher's soft targets and measure it.

    The student is written to a file and compared with its teacher on the test set. Students have
    settings for images, which options override; 'softkd info' shows the settings of a student.

    With --targets the student learns from a folder of labels, and is not compared.

    --devices trains one soft tree or network by several processes. It starts them, unless torchrun
    has: torchrun --nproc-per-node 2 -m softkd distill ... --devices 2

    With --json, stdout is one object: accuracy, agreement, kl_to_teacher, bytes and latency_us of
    the student; the same keys under "teacher", "labels" (the same student trained on labels alone)
    and "labels_transfer" (on labels, with the rows of the transfer set too, if it is image or
    noise: others need a teacher); "accuracy_by_prediction" of a soft tree; "student", "parameters",
    "chosen" (the values of temperature and hard_weight where they are auto), "seconds", "threads",
    "seed", "unlabeled", "data", "out" and "versions". Unknown values are null. For regression, the
    first three keys are r2, r2_to_teacher and mse_to_teacher. With --targets, the keys are
    "student", "targets", "rows", "parts", "labelled_by", "out", "bytes", "parameters", "seconds",
    "threads", "seed" and "versions".
    """
    given = SimpleNamespace(**options)
    if given.targets is None:
        _check_usage(given)
        from softkd.distilling import distill as run
    else:
        _check_usage_of_targets(given, ctx)
        from softkd.parts import distill as run
    run(given)


def _check_usage(given: SimpleNamespace) -> None:
    if not given.teacher_paths:
        raise click.UsageError(
            "Name the teacher: --teacher FILE, or --targets FOLDER, which 'softkd label' writes."
        )
    if (given.workers, given.scheduler) != (None, None):
        raise click.UsageError(
            "--workers and --scheduler are for --targets with --student xgboost."
        )


def _check_usage_of_targets(given: SimpleNamespace, ctx: click.Context) -> None:
    unused = [
        option
        for name, option in _OF_ROWS.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and ctx.params[name] not in ("none", False)
    ]
    if unused:
        raise click.UsageError(
            "--targets holds rows with the teacher's answers, and no test rows. Leave out "
            f"{', '.join(unused)}."
        )
    trained_by = {name: entry.from_parts for name, entry in available().items() if entry.from_parts}
    if given.student not in trained_by:
        *others, last = trained_by
        raise click.UsageError(
            "--targets may hold more rows than memory, from which "
            f"{', '.join(others)} and {last} learn. Got --student {given.student}."
        )
    by_workers = trained_by[given.student] == "fit_xgboost"
    if not by_workers and (given.workers, given.scheduler) != (None, None):
        raise click.UsageError(
            "--workers and --scheduler are for --student xgboost. Several processes train "
            f"--student {given.student} with --devices and --num-nodes."
        )
    if by_workers and given.resume:
        raise click.UsageError(
            "--student xgboost keeps no checkpoint when workers train it on --targets. Leave out "
            "--resume."
        )
    if given.workers is not None and given.scheduler is not None:
        raise click.UsageError("--workers starts processes here; --scheduler has its own.")
