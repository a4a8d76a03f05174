"""`softkd teach`: train a teacher if you have none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from soft_students.networks.zoo import NETWORKS
from softkd.completion import networks, offer
from softkd.options import (
    data_options,
    output_options,
    resume_option,
    test_data_option,
    threads_option,
)


@click.command()
@data_options
@test_data_option
@click.option(
    "--arch",
    type=click.Choice(list(NETWORKS)),
    metavar="NAME",
    shell_complete=offer(networks),
    help="Network: cnn, mlp, resnet20, ... [default: cnn for images, mlp for tables].",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The teacher file.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Networks to train, from different seeds; several make an ensemble.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the first network.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the training rows [default: chosen by --arch].",
)
@resume_option
@threads_option
@output_options
def teach(
    data: str | None,
    data_dir: str | None,
    target: str | None,
    test_data: str | None,
    arch: str | None,
    out: Path,
    seeds: int,
    seed: int,
    epochs: int | None,
    resume: bool,
    threads: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Train a neural teacher and write it to a file.

    It is trained on the training data. The epoch is chosen on a validation split of the training
    data; the test set is measured once, at the end.

    --json prints "accuracy" (on the test set), "validation_accuracy", "teacher", "members", "data",
    "out", "bytes" (of the file), "seconds", "threads", "seed" and "versions".
    """
    if data is None:
        raise click.UsageError("Name the data to train on: --data.")
    from soft_students.teachers import save_teacher, train_teacher
    from soft_students.teachers.checkpoint import record_test_accuracy
    from soft_students.transfer import ImageDistortion
    from softkd.learners import use_threads
    from softkd.output import check_checkpoint, check_output
    from softkd.reading import Source, read_rows

    threads = use_threads(threads)
    source = Source(data, data_dir, target, test_data)
    check_output(out, force, source.files())
    dataset, split = read_rows(source)
    if dataset.classes is None:
        raise click.ClickException(
            f"The target of '{dataset.name}' holds values, and softkd teach trains classifiers."
        )
    image_shape = dataset.image_shape
    checkpoint = check_checkpoint(out, resume, force, source.files())
    start = time.perf_counter()
    teacher = train_teacher(
        dataset.X_train,
        dataset.y_train,
        arch=arch or ("mlp" if image_shape is None else "cnn"),
        input_shape=image_shape,
        augment=None if image_shape is None else ImageDistortion(image_shape),
        n_models=seeds,
        epochs=epochs,
        random_state=seed,
        verbose=1,
        data=source.describe(dataset, split=split),
        checkpoint=checkpoint,
        resume=resume,
    )
    about = {
        "members": seeds,
        "data": dataset.name,
        "seconds": time.perf_counter() - start,
        "threads": threads,
        "seed": seed,
    }
    accuracy = record_test_accuracy(teacher, dataset.X_test, dataset.y_test)
    save_teacher(teacher, out, overwrite=force)
    _report(teacher, accuracy, out, about, as_json)


def _report(teacher: Any, accuracy: float, out: Path, about: dict[str, Any], as_json: bool) -> None:
    from soft_students.versions import versions
    from softkd.output import print_json

    if as_json:
        known = {} if teacher.record is None else teacher.record.accuracy
        print_json(
            {
                "accuracy": accuracy,
                "validation_accuracy": known.get("validation"),
                "teacher": teacher.name,
                "out": str(out),
                "bytes": out.stat().st_size,
                **about,
                "versions": versions(),
            }
        )
        return
    click.echo(
        f"{out}: {teacher.name} on {about['data']}, test accuracy {accuracy:.2%}, trained in "
        f"{about['seconds']:.0f} s"
    )
