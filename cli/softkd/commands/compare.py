"""`softkd compare`: which student to take."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from joblib import cpu_count
from rich.table import Table

from soft_students.comparison import Comparison, TrainingResult, compare_students
from soft_students.datasets import Dataset
from soft_students.evaluation import METRICS
from soft_students.ranking import METHODS, NORMALIZATIONS, ahp_weights, get_criterion
from soft_students.students import get_student
from softkd.options import (
    Setting,
    check_method_parameters,
    data_of,
    data_options,
    describe_data,
    json_option,
    make_student,
    print_json,
    print_table,
    read_teacher_and_data,
    teacher_options,
    threads_option,
)

_TEST_METRICS = ("accuracy", "agreement", "kl_to_teacher", "r2", "r2_to_teacher", "mse_to_teacher")


class Students(click.ParamType):
    """Names of students with commas between them."""

    name = "student,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        """Return the names."""
        if isinstance(value, list):
            return value
        names = [name.strip() for name in value.split(",")]
        for name in names:
            try:
                get_student(name)
            except ValueError as error:
                self.fail(str(error), param, ctx)
        if len(set(names)) < len(names):
            self.fail("A student is named twice.", param, ctx)
        return names


class Criteria(click.ParamType):
    """``name=weight`` with commas between them, or names alone, which weigh the same."""

    name = "criterion=weight,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, float] | list[str]:
        """Return weights by the names of metrics, or these names."""
        if not isinstance(value, str):
            return value
        names, weights = [], []
        for part in value.split(","):
            name, equals, weight = part.partition("=")
            names.append(_criterion(self, name, param, ctx))
            weights.append(_number(self, part, weight, param, ctx) if equals else None)
        if len(set(names)) < len(names):
            self.fail("A criterion is named twice.", param, ctx)
        if all(weight is None for weight in weights):
            return names
        if None in weights:
            self.fail("Give a weight to each criterion, or to none.", param, ctx)
        return {name: w for name, w in zip(names, weights, strict=True) if w is not None}


class Pairs(click.ParamType):
    """``one:two=value`` with commas between them."""

    name = "one:two=value,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[tuple[str, str], float]:
        """Return judgements by pairs of metrics."""
        if not isinstance(value, str):
            return value
        judgements: dict[tuple[str, str], float] = {}
        for part in value.split(","):
            pair, _, text = part.partition("=")
            one, colon, two = pair.partition(":")
            if not colon:
                self.fail(f"{part!r} is not of the form one:two=value.", param, ctx)
            key = (_criterion(self, one, param, ctx), _criterion(self, two, param, ctx))
            if key in judgements:
                self.fail(f"The pair {pair} is judged twice.", param, ctx)
            judgements[key] = _number(self, part, text, param, ctx)
        return judgements


def _criterion(kind: click.ParamType, name: str, param: Any, ctx: Any) -> str:
    try:
        return get_criterion(name.strip())
    except ValueError as error:
        kind.fail(str(error), param, ctx)


def _number(kind: click.ParamType, part: str, text: str, param: Any, ctx: Any) -> float:
    try:
        one, slash, two = text.partition("/")  # 1/3 too
        return float(one) / float(two) if slash else float(one)
    except (ValueError, ZeroDivisionError):
        kind.fail(f"{part!r} holds no number after '='.", param, ctx)


@click.command()
@click.option(
    "--teacher",
    "teacher_paths",
    required=True,
    multiple=True,
    type=click.Path(),
    help="The teacher file; several are an ensemble.",
)
@click.option(
    "--students",
    required=True,
    type=Students(),
    help="Of 'softkd students', such as soft_tree,xgboost,tree,logistic,neural.",
)
@click.option(
    "--criteria",
    type=Criteria(),
    help="Metrics and their weights [default: accuracy=0.4,latency=0.3,size=0.3; of values r2].",
)
@click.option(
    "--judgements",
    type=Pairs(),
    help="Instead of weights, how much more one criterion matters than another (AHP), 1 to 9 or "
    "1/2 to 1/9, for each pair: accuracy:latency=3,accuracy:size=5,latency:size=2.",
)
@click.option(
    "--max-inconsistency",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Greatest consistency ratio of judgements.",
)
@click.option(
    "--rank",
    "method",
    type=click.Choice(list(METHODS)),
    default="topsis",
    show_default=True,
    help="index: weighted sum; topsis: closeness to the ideal; ahp: judgements of pairs.",
)
@click.option(
    "--normalization",
    type=click.Choice(list(NORMALIZATIONS)),
    help="How criteria become comparable [default: vector for topsis, minmax for index, sum for "
    "ahp].",
)
@click.option("--max-latency-us", type=float, help="Exclude students that take longer for one row.")
@click.option("--max-bytes", type=float, help="Exclude students whose file is larger.")
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    help="Exclude students that are right less often.",
)
@click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    help="A parameter of one student, e.g. --set tree.max_depth=6.",
)
@click.option(
    "--validation-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Of the training rows: nobody learns from it, all are ranked by it.",
)
@data_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("compare"),
    show_default=True,
    help="The folder of students and results.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=cpu_count,
    help="Students trained at a time [default: one a core].",
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@teacher_options
@threads_option
@json_option
def compare(
    teacher_paths: tuple[str, ...],
    students: list[str],
    criteria: dict[str, float] | list[str] | None,
    judgements: dict[tuple[str, str], float] | None,
    max_inconsistency: float,
    method: str,
    normalization: str | None,
    max_latency_us: float | None,
    max_bytes: float | None,
    min_accuracy: float | None,
    settings: tuple[tuple[str, Any], ...],
    validation_fraction: float,
    data: str | None,
    data_dir: str | None,
    target: str | None,
    out: Path,
    jobs: int,
    seed: int,
    arch: str | None,
    input_shape: tuple[int, ...] | None,
    trust: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Train several students of a teacher and rank them by several criteria.

    Students learn from a part of the training rows and are ranked by the rest of them; the test
    rows are used once, for the figures of all. Each student is kept in the folder as soon as it is
    trained: after an interruption the same command goes on, and what has changed since is trained
    again. A student that fails is reported, and the others go on; the exit code is 1 if all fail,
    or if limits exclude all.

    --json prints what results.json holds: "students" (each with "validation", "test" and "cost"),
    "teacher", "ranking" ("winner", "order", "scores", "weights", "pareto", "excluded",
    "sensitivity", "notes" and others), "mcnemar", "data", "versions".
    """
    if judgements is None and method == "ahp":
        raise click.UsageError("--rank ahp needs --judgements, such as accuracy:latency=3.")
    if judgements is not None and criteria is not None:
        raise click.UsageError("--criteria and --judgements exclude each other.")
    weights: Any = criteria
    if judgements is not None:
        weights = ahp_weights(judgements, max_inconsistency=max_inconsistency)
    teacher, dataset = read_teacher_and_data(
        teacher_paths, arch, input_shape, trust, data, data_dir, target
    )
    if weights is None:
        quality = "r2" if dataset.task == "regression" else "accuracy"
        weights = {quality: 0.4, "latency_us": 0.3, "bytes": 0.3}
    limits = {"latency_us": max_latency_us, "bytes": max_bytes, "accuracy": min_accuracy}
    if min_accuracy is not None and dataset.task == "regression":
        raise click.UsageError("--min-accuracy is of classes, and the data hold values.")
    learners = _learners(students, settings, dataset, validation_fraction, seed)
    origin = data_of(teacher) if data is None else describe_data(dataset, data, data_dir, target)
    done = 0

    def report(training: TrainingResult) -> None:
        nonlocal done
        done += 1
        if training.error is not None:
            said = f"failed: {training.error}"
        else:
            kept = "kept from an earlier run" if training.resumed else "trained"
            said = f"{kept}, {training.seconds:.1f} s"
        click.echo(f"{done} of {len(students)}: {training.name} {said}", err=True)
        for warning in training.warnings:
            click.echo(f"Warning: {training.name}: {warning}", err=True)

    result = compare_students(
        learners,
        teacher,
        dataset,
        out,
        criteria=weights,
        method=method,
        normalization=normalization,
        constraints={name: limit for name, limit in limits.items() if limit is not None},
        validation_fraction=validation_fraction,
        jobs=jobs,
        random_state=seed,
        teacher_digest=_digest(teacher_paths),
        origin=origin,
        pairs=judgements,
        command=shlex.join(["softkd", *sys.argv[1:]]),
        on_trained=report,
    )
    if as_json:
        print_json(result.results)
    else:
        _print(result)
    click.echo(f"Written: {out / 'results.json'}", err=True)


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
    learners = {}
    for name in names:
        entry = get_student(name)
        cls = entry.regressor if dataset.task == "regression" else entry.classifier
        if cls is None:
            raise click.UsageError(f"The student {name!r} has no part for {dataset.task}.")
        presets: dict[str, Any] = {"random_state": seed}
        if dataset.image_shape is not None:
            presets |= entry.image_settings(dataset.image_shape, n_rows)
        learners[name] = make_student(cls, presets, chosen[name])
        if hasattr(learners[name], "method"):
            check_method_parameters(learners[name])
    return learners


def _digest(paths: Sequence[str]) -> str:
    """Return what tells the teacher's files from others."""
    told = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            told.update(hashlib.file_digest(file, "sha256").digest())
    return told.hexdigest()


def _print(result: Comparison) -> None:
    ranking, about = result.ranking, result.results
    rows = about["data"]
    table = Table(
        title=f"{rows['name']}: ranked by {ranking.method} on {rows['validation']} training rows "
        "that nobody learnt from",
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
    share = ranking.sensitivity.win_shares[ranking.winner]
    click.echo(f"{ranking.winner} wins, and does for {share:.0%} of random weights around these.")
    for criterion, found in ranking.sensitivity.ranges.items():
        ends = [
            f"{other} would with a weight {word} {end:.2f}"
            for other, word, end in (
                (found.winner_below, "below", found.low),
                (found.winner_above, "above", found.high),
            )
            if other is not None and 0.005 < end < 0.995
        ]
        if ends:
            click.echo(f"  {METRICS[criterion].title}: {', '.join(ends)} ({found.weight:.2f} now)")


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
