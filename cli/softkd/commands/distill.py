"""`softkd distill`: the main job."""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any

import click
from sklearn.base import BaseEstimator
from torch.distributed import is_torchelastic_launched

from soft_students.comparison.distillation import distill as run
from soft_students.comparison.distillation import load_unlabeled
from soft_students.labelled import LabelledParts
from soft_students.students import StudentEntry, available, get_student
from soft_students.students.files import save
from soft_students.students.processes import check_processes, is_first_process
from soft_students.transfer import TRANSFERS, ImageDistortion
from softkd.options import (
    NumberOrAuto,
    Setting,
    check_checkpoint,
    check_method_parameters,
    check_output,
    chosen_settings,
    cluster_options,
    data_of,
    data_options,
    describe_data,
    device_options,
    make_student,
    make_transfer,
    output_options,
    plain_parameters,
    print_json,
    print_table,
    read_teacher_and_data,
    result_table,
    resume_option,
    teacher_options,
    threads_option,
    versions,
)
from softkd.parts import check_usage, distill_parts

_TITLES = {
    "student": "student: distilled",
    "labels_transfer": "labels + distorted",
    "labels": "labels alone",
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
    type=click.Path(path_type=Path),
    help="What 'softkd label' wrote, instead of --teacher and --data: more rows than memory, for "
    "soft_tree, neural and xgboost.",
)
@click.option(
    "--student", type=click.Choice(list(available())), default="soft_tree", show_default=True
)
@data_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The student file [default: STUDENT-DATA.student or STUDENT-FOLDER.student].",
)
@click.option("--depth", type=click.IntRange(1, 16), help="Of a tree: levels of gates.")
@click.option(
    "--temperature",
    type=NumberOrAuto(click.FLOAT),
    metavar="FLOAT|auto",
    help="Of the soft targets; above 0. auto: chosen on held-out training rows.",
)
@click.option(
    "--hard-weight",
    type=NumberOrAuto(click.FloatRange(0, 1)),
    metavar="FLOAT|auto",
    help="Of the true labels beside the soft targets, from 0 to 1. auto: likewise.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training rows.")
@click.option(
    "--prediction",
    type=click.Choice(["expectation", "greatest_path", "greedy"]),
    help="How a soft tree is read.",
)
@click.option(
    "--module", help="The network of a neural student: small_cnn, resnet20, wrn_16_2, mlp, ..."
)
@click.option(
    "--method",
    help="How a neural student learns: one of 'softkd methods', or several with commas between "
    "them. Their parameters: --set rkd.angle_weight=50.",
)
@click.option(
    "--transfer",
    type=click.Choice(["auto", "none", *sorted(TRANSFERS)]),
    default="auto",
    show_default=True,
    help="Rows made from the training rows, which the teacher labels too. auto: distorted copies "
    "of images, nothing else. How many: --set transfer_copies=N.",
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
    help="Further rows, which the teacher labels: a .csv or .parquet (columns by name, others are "
    "left out), or an .npz with the array X.",
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
    help="Also train the same student on labels alone, to compare.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@resume_option
@device_options
@cluster_options
@teacher_options
@threads_option
@output_options
@click.pass_context
def distill(
    ctx: click.Context,
    teacher_paths: tuple[str, ...],
    targets: Path | None,
    student: str,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    out: Path | None,
    depth: int | None,
    temperature: float | str | None,
    hard_weight: float | str | None,
    epochs: int | None,
    prediction: str | None,
    module: str | None,
    method: str | None,
    transfer: str,
    transfer_settings: tuple[tuple[str, Any], ...],
    unlabeled: str | None,
    settings: tuple[tuple[str, Any], ...],
    baseline: bool,
    seed: int,
    resume: bool,
    devices: int | None,
    num_nodes: int | None,
    workers: int | None,
    scheduler: str | None,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    threads: int,
    force: bool,
    as_json: bool,
) -> None:
    """Train a student on a teacher's soft targets, write it, and compare it on the test set.

    Images have settings of their own, which options given here override; 'softkd info' shows those
    of a student.

    With --targets the student learns from a folder of labels, and is compared with nothing.

    --devices has several processes train one soft tree or network. It starts them, unless torchrun
    has: torchrun --nproc-per-node 2 -m softkd distill ... --devices 2

    With --json, stdout holds one object: accuracy, agreement, kl_to_teacher, bytes and latency_us
    of the student; the same keys under "teacher", "labels" (the same student trained on labels
    alone) and "labels_transfer" (on labels, with the rows of the transfer set too, if it is image
    or noise: others need a teacher); "accuracy_by_prediction" of a soft tree; "student",
    "parameters", "chosen" (of temperature and hard_weight, those that are auto), "seconds",
    "threads", "seed", "unlabeled", "data", "out" and "versions". What is unknown is null. Of
    values, the first three keys are r2, r2_to_teacher and mse_to_teacher. With --targets, the keys
    are "student", "targets", "rows", "parts", "labelled_by", "out", "bytes", "parameters",
    "seconds", "threads", "seed" and "versions".
    """
    first = is_first_process()
    if not first:  # all do the same, and the first tells it
        ctx.with_resource(contextlib.redirect_stdout(io.StringIO()))
        ctx.with_resource(contextlib.redirect_stderr(io.StringIO()))
    check_usage(ctx)
    options = {
        "depth": depth,
        "temperature": temperature,
        "hard_weight": hard_weight,
        "epochs": epochs,
        "prediction": prediction,
        "module": module,
        "method": method,
        "n_devices": devices,
        "n_nodes": num_nodes,
    }
    chosen = [(name, value) for name, value in options.items() if value is not None]
    presets: dict[str, Any] = {"random_state": seed, "verbose": 1}
    entry = get_student(student)
    if out is not None and first:
        check_output(out, force, inputs=teacher_paths)
    if targets is not None:
        parts = LabelledParts(targets)
        learner = _learner(entry, parts.task, presets, [*chosen, *settings])
        if out is None:
            out = Path(f"{student}-{targets.resolve().name}.student")
            if first:
                check_output(out, force)
        checkpoint = check_checkpoint(out, resume, force or not first)
        distill_parts(learner, parts, out, checkpoint, ctx.params)
        return
    teacher, dataset = read_teacher_and_data(
        teacher_paths, arch, input_shape, trust, data, data_dir, target
    )
    if out is None:
        out = Path(f"{student}-{Path(dataset.name).stem}.student")
        if first:
            check_output(out, force, inputs=teacher_paths)
    if dataset.image_shape is not None and entry.image_settings is not None:
        presets |= entry.image_settings(dataset.image_shape, len(dataset.X_train))
    if transfer == "none":
        presets["transfer"] = None
    if (
        transfer == "auto"
        and transfer_settings
        and isinstance(presets.get("transfer"), ImageDistortion)
    ):
        transfer = "image"
    if transfer_settings and transfer not in TRANSFERS:
        raise click.UsageError(
            f"--transfer-set needs a transfer set: --transfer {'|'.join(sorted(TRANSFERS))}."
        )
    if transfer in TRANSFERS:
        made = make_transfer(transfer, transfer_settings, dataset.image_shape)
        chosen.append(("transfer", made))
    learner = _learner(entry, teacher.task, presets, [*chosen, *settings])
    checkpoint = check_checkpoint(out, resume, force or not first)
    if data is not None:
        described = describe_data(dataset, data, data_dir, target)
    else:  # then the teacher's file has said what they are
        described = data_of(teacher)

    more = None if unlabeled is None else load_unlabeled(unlabeled, teacher, dataset)

    def keep(trained: BaseEstimator) -> None:
        if not first:
            return
        if "verbose" in trained.get_params(deep=False):
            trained.set_params(verbose=0)
        save(trained, out, overwrite=force, data=described)
        click.echo(f"Written: {out}", err=True)
        if baseline:
            click.echo(
                "Now the same student from labels alone, to compare (not with --no-baseline).",
                err=True,
            )

    start = time.perf_counter()
    result = run(
        learner,
        teacher,
        dataset,
        unlabeled=more,
        baselines=baseline,
        on_student=keep,
        checkpoint=checkpoint,
        resume=resume,
        measure=first,
    )
    if not first:
        return
    seconds = {**result.seconds, "total": time.perf_counter() - start}
    by_prediction = result.accuracy_by_prediction
    if as_json:
        others = {name: row for name, row in result.rows.items() if name != "student"}
        print_json(
            {
                **result.rows["student"],
                "accuracy_by_prediction": by_prediction,
                **others,
                "student": student,
                "data": dataset.name,
                "out": str(out),
                "parameters": plain_parameters(result.student),
                "chosen": chosen_settings(result.student),
                "seconds": seconds,
                "threads": threads,
                "seed": seed,
                "unlabeled": None if more is None else {"file": unlabeled, "rows": len(more)},
                "versions": versions(),
            }
        )
        return
    titles = {"teacher": f"teacher: {teacher.name}", **_TITLES}
    print_table(
        result_table(
            f"{dataset.name}: {len(dataset.X_test)} test rows",
            {
                titles[name]: {**row, "seconds": result.seconds.get(name)}
                for name, row in result.rows.items()
            },
        )
    )
    settled = chosen_settings(result.student)
    if settled:
        each = (f"{name.replace('_', ' ')} {value:g}" for name, value in settled.items())
        click.echo(f"Chosen on held-out training rows: {', '.join(each)}")
    if by_prediction:
        each = (f"{name.replace('_', ' ')} {value:.2%}" for name, value in by_prediction.items())
        click.echo(f"Accuracy of the student by {', '.join(each)}")


def _learner(
    entry: StudentEntry, task: str, presets: dict[str, Any], chosen: list[tuple[str, Any]]
) -> BaseEstimator:
    """Return the student to train; what it does not take, or its processes, is bad usage."""
    student_class = entry.regressor if task == "regression" else entry.classifier
    if student_class is None:
        raise click.UsageError(f"The student {entry.name!r} has no part for {task}.")
    alone = "n_devices" not in student_class().get_params(deep=False)
    if alone and {"n_devices", "n_nodes"} & {name for name, _ in chosen}:
        raise click.UsageError(
            "--devices and --num-nodes are for soft_tree and neural, which several processes "
            f"train. Got --student {entry.name}."
        )
    if alone and is_torchelastic_launched() and os.environ["WORLD_SIZE"] != "1":
        raise click.UsageError(
            f"torchrun has started {os.environ['WORLD_SIZE']} processes, and --student "
            f"{entry.name} is trained by one. Run it without torchrun."
        )
    learner = make_student(student_class, presets, chosen)
    if hasattr(learner, "method"):
        check_method_parameters(learner)
    if not alone:
        try:
            check_processes(learner)
        except ValueError as error:
            raise click.UsageError(f"{error} (--devices, --num-nodes)") from error
    return learner
