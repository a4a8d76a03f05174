"""The work of `softkd compare`: students from options, and tables of the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from joblib import cpu_count
from rich.table import Table

from soft_students.comparison import Comparison, TrainingResult, compare_students
from soft_students.comparison.distillation import training_columns
from soft_students.datasets import Dataset
from soft_students.evaluation import METRICS
from soft_students.persistence.digests import file_sha256
from soft_students.ranking import NoneLeftError
from softkd.learners import class_for, configured, image_settings, use_threads
from softkd.output import check_folder, print_table
from softkd.reading import Source, TeacherOptions, read_training_data, refuse_missing

_TEST_METRICS = ("accuracy", "agreement", "kl_to_teacher", "r2", "r2_to_teacher", "mse_to_teacher")


def compare(
    *,
    teacher_paths: Sequence[str],
    students: Sequence[str],
    criteria: Any,
    max_latency_us: float | None,
    max_bytes: float | None,
    min_accuracy: float | None,
    settings: Sequence[tuple[str, Any]],
    validation_fraction: float,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    test_data: str | None,
    out: Path,
    jobs: int | None,
    seed: int,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    classes: tuple[str, ...] | None,
    kind: str | None,
    threads: int | None,
    **ranking: Any,
) -> Comparison:
    """Read what the options of `softkd compare` name, and train and rank the students.

    What is not named here is passed to `compare_students`.
    """
    use_threads(threads)
    source = Source(data, data_dir, target, test_data)
    check_folder(out, [*teacher_paths, *source.files()])
    options = TeacherOptions(arch, input_shape, trust, classes, kind)
    teacher, dataset, source, split = read_training_data(teacher_paths, source, options)
    check_folder(out, source.files())  # those that the teacher's file records, too
    if criteria is None:
        quality = "r2" if dataset.task == "regression" else "accuracy"
        criteria = {quality: 0.4, "latency_us": 0.3, "bytes": 0.3}
    if min_accuracy is not None and dataset.task == "regression":
        raise click.UsageError("--min-accuracy applies to classes, and the data hold values.")
    limits = {"latency_us": max_latency_us, "bytes": max_bytes, "accuracy": min_accuracy}
    columns = training_columns(teacher, dataset)
    learners = _learners(students, settings, dataset, validation_fraction, seed)
    for learner in learners.values():
        refuse_missing(dataset, source, learner)
    try:
        return compare_students(
            learners,
            teacher,
            dataset,
            out,
            criteria=criteria,
            constraints={name: limit for name, limit in limits.items() if limit is not None},
            validation_fraction=validation_fraction,
            jobs=jobs or cpu_count(),
            random_state=seed,
            teacher_digest=_digest(teacher_paths),
            origin=source.describe(dataset, split=split, columns=columns),
            on_trained=_reporter(len(students)),
            **ranking,
        )
    except NoneLeftError as error:
        raise click.ClickException(
            f"{error} 'softkd report {out}' shows by how much each misses the limits."
        ) from error


def _learners(
    names: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    dataset: Dataset,
    validation_fraction: float,
    seed: int,
) -> dict[str, Any]:
    chosen: dict[str, list[tuple[str, Any]]] = {name: [] for name in names}
    for key, value in settings:
        name, dot, parameter = key.partition(".")
        if not dot or name not in chosen:
            raise click.UsageError(
                f"--set {key}: name one of the students first: {', '.join(names)}. Such as "
                f"--set {names[0]}.random_state=1."
            )
        chosen[name].append((parameter, value))
    n_rows = round(len(dataset.X_train) * (1 - validation_fraction))
    return {
        name: configured(
            class_for(name, dataset.task),
            {"random_state": seed, **image_settings(name, dataset, n_rows)},
            chosen[name],
        )
        for name in names
    }


def _reporter(total: int) -> Callable[[TrainingResult], None]:
    """Return a function that prints each training as it ends."""
    done = 0

    def report(training: TrainingResult) -> None:
        nonlocal done
        done += 1
        if training.error is not None:
            said = f"failed: {training.error}"
        else:
            kept = "kept from an earlier run" if training.resumed else "trained"
            said = f"{kept}, {training.seconds:.1f} s"
        click.echo(f"{done} of {total}: {training.name} {said}", err=True)
        for warning in training.warnings:
            click.echo(f"Warning: {training.name}: {warning}", err=True)

    return report


def _digest(paths: Sequence[str]) -> str:
    """Return a digest of the teacher's files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def print_comparison(result: Comparison) -> None:
    """Print the ranking, how it was decided, and the figures on the test rows."""
    ranking, about = result.ranking, result.results
    rows = about["data"]
    table = Table(
        title=f"{rows['name']}: ranked by {ranking.method} on {rows['validation']} training rows "
        "that no student was trained on",
        title_justify="left",
    )
    table.add_column("")
    for heading in ("score", *(_heading(name, w) for name, w in ranking.weights.items())):
        table.add_column(heading, justify="right")
    table.add_column("Pareto")
    values = result.validation.wide()
    for place, (name, score) in enumerate(ranking.scores.items(), 1):
        shown = [METRICS[criterion].show(values[name][criterion]) for criterion in ranking.weights]
        front = "yes" if name in ranking.pareto else "no"
        table.add_row(f"{place}. {name}", f"{score:.3f}", *shown, front)
    print_table(table)
    _print_choice(result)
    _print_test(result)


def _heading(criterion: str, weight: float) -> str:
    metric = METRICS[criterion]
    return f"{metric.title} {'↑' if metric.direction == 'higher' else '↓'} ×{weight:.2g}"


def _print_choice(result: Comparison) -> None:
    ranking = result.ranking
    for name, reasons in ranking.excluded.items():
        click.echo(f"Excluded: {name}: {', '.join(reasons)}.")
    for name, training in result.trainings.items():
        if training.error is not None:
            click.echo(f"Failed: {name}: {training.error}")
    for note in ranking.notes:
        click.echo(f"Note: {note}")
    found, winner = ranking.sensitivity, ranking.winner
    text = f"{winner} wins, also with {found.win_shares[winner]:.0%} of random weights near these"
    if found.measured_shares is not None:
        text += (
            " and values measured again; with these weights, in "
            f"{found.measured_shares[winner]:.0%} of measurements"
        )
    click.echo(f"{text}.")
    for criterion, span in ranking.sensitivity.ranges.items():
        ends = [
            f"{other} would with a weight {word} {end:.2f}"
            for other, word, end in (
                (span.winner_below, "below", span.low),
                (span.winner_above, "above", span.high),
            )
            if other is not None and 0.005 < end < 0.995
        ]
        if ends:
            click.echo(f"  {METRICS[criterion].title}: {', '.join(ends)} ({span.weight:.2f} now)")


def _print_test(result: Comparison) -> None:
    about = result.results
    models = {"teacher": about["teacher"], **about["students"]}
    trained = {name: of for name, of in models.items() if of.get("status") != "failed"}
    table = Table(
        title=f"{about['data']['test']} test rows, used once and for no choice, in brackets "
        f"{about['confidence']:.0%} intervals",
        title_justify="left",
    )
    table.add_column("", no_wrap=True)
    metrics = [name for name in _TEST_METRICS if any(name in of["test"] for of in trained.values())]
    for heading in (*(METRICS[name].title for name in metrics), "bytes", "µs/row", "trained in"):
        table.add_column(heading, justify="right")
    for name, of in trained.items():
        seconds = of.get("seconds")
        table.add_row(
            name,
            *(_cell(metric, of["test"].get(metric)) for metric in metrics),
            *(_cell(metric, of["cost"].get(metric)) for metric in ("bytes", "latency_us")),
            "" if seconds is None else f"{seconds:.1f} s",
        )
    print_table(table)


def _cell(metric: str, of: Mapping[str, Any] | None) -> str:
    if of is None:
        return ""
    show = METRICS[metric].show
    if of["interval"] != "bootstrap":
        return show(of["value"])
    return f"{show(of['value'])} [{show(of['low'])}, {show(of['high'])}]"
