"""`softkd compare`: several students of one teacher, ranked."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from softkd.completion import offer, students
from softkd.options import (
    data_options,
    json_option,
    kind_option,
    seed_option,
    teacher_options,
    test_data_option,
    threads_option,
)
from softkd.parameter_types import Criteria, Pairs, Setting, Students


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
    shell_complete=offer(students, several=True),
    help="Names from 'softkd students', such as soft_tree,xgboost,tree,logistic,neural.",
)
@click.option(
    "--criteria",
    type=Criteria(),
    help="Metrics and their weights [default: accuracy=0.4,latency=0.3,size=0.3; r2 in place of "
    "accuracy for regression].",
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
    type=click.Choice(["index", "topsis", "ahp", "aggregate_index", "mean_index"]),
    default="topsis",
    show_default=True,
    help="index: weighted sum; topsis: closeness to the ideal; ahp: judgements of pairs; "
    "aggregate_index, mean_index: weighted sum, or mean, of ratios to --reference.",
)
@click.option(
    "--normalization",
    type=click.Choice(["minmax", "vector", "ratio", "sum", "reference"]),
    help="How criteria become comparable [default: vector for topsis, minmax for index, sum for "
    "ahp, reference for the others].",
)
@click.option(
    "--reference",
    type=Criteria("criterion=value,..."),
    help="Values of the criteria that ratios compare with [default: the teacher's].",
)
@click.option("--max-latency-us", type=float, help="Exclude students that take longer per row.")
@click.option("--max-bytes", type=float, help="Exclude students with a larger file.")
@click.option(
    "--min-accuracy", type=click.FloatRange(0, 1), help="Exclude students with a lower accuracy."
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
    help="Share of the training rows by which students are ranked; none is trained on it.",
)
@data_options
@test_data_option
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
    help="Students trained at the same time [default: one per core].",
)
@seed_option
@teacher_options
@kind_option
@threads_option
@json_option
def compare(
    criteria: Any,
    judgements: dict[tuple[str, str], float] | None,
    max_inconsistency: float,
    method: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Train several students of a teacher and rank them.

    Students are trained on a part of the training rows and ranked by the rest; the test rows are
    used once, for the figures of all. Each student is written to the folder as soon as it is
    trained: after an interruption the same command continues, and trains again only students whose
    settings or data have changed. A student that fails is reported and the others go on; the exit
    code is 1 if all fail, or if limits exclude all.

    --json prints the content of results.json: "students" (each with "validation", "test" and
    "cost"), "teacher", "ranking" ("winner", "order", "scores", "weights", "pareto", "excluded",
    "sensitivity", "notes" and others), "mcnemar", "data", "versions".
    """
    if judgements is None and method == "ahp":
        raise click.UsageError("--rank ahp needs --judgements, such as accuracy:latency=3.")
    if isinstance(options["reference"], list):
        raise click.UsageError(
            "--reference needs a value for each criterion, such as accuracy=0.9."
        )
    if judgements is not None and criteria is not None:
        raise click.UsageError("--criteria and --judgements exclude each other.")
    from soft_students.ranking import ahp_weights
    from softkd.comparing import compare as run
    from softkd.comparing import print_comparison
    from softkd.output import print_json

    if judgements is not None:
        criteria = ahp_weights(judgements, max_inconsistency=max_inconsistency)
    result = run(
        **options,
        criteria=criteria,
        method=method,
        pairs=judgements,
        command=shlex.join(["softkd", *sys.argv[1:]]),
    )
    if as_json:
        print_json(result.results)
    else:
        print_comparison(result)
    click.echo(f"Written: {options['out'] / 'results.json'}", err=True)
