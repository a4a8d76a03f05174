"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from softkd.completion import offer_data, offer_factories
from softkd.parameter_types import Labels, Shape

Command = Callable[..., Any]


def _all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds options in the order of their help."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


data_options = _all_of(
    click.option(
        "--data",
        metavar="NAME|FILE",
        shell_complete=offer_data,
        help="digits, mnist, fashion_mnist, or a table: .csv, .parquet, .npz.",
    ),
    click.option(
        "--data-dir",
        metavar="FOLDER",
        type=click.Path(file_okay=False),
        help="Folder of IDX files for mnist and fashion_mnist [default: $SOFTKD_DATA, the "
        "cache, then the network].",
    ),
    click.option("--target", metavar="COLUMN", help="Column of a table that holds the labels."),
)

test_data_option = click.option(
    "--test-data",
    metavar="FILE",
    type=click.Path(),
    help="Another table, all of whose rows are the test rows; all of --data are trained on.",
)

teacher_options = _all_of(
    click.option(
        "--arch",
        metavar="MODULE:FACTORY",
        shell_complete=offer_factories,
        help="Function that makes the network, needed if the teacher file is a plain state dict.",
    ),
    click.option(
        "--input-shape",
        type=Shape(),
        help="Shape of one input, e.g. 1,28,28; needed if the teacher file does not record it.",
    ),
    click.option(
        "--trust",
        is_flag=True,
        help="Allow files that can run code when they are loaded, such as pickles.",
    ),
    click.option(
        "--classes",
        type=Labels(),
        help="Labels in the order of the teacher's outputs, e.g. low,medium,high; needed if the "
        "teacher file does not record them and they are not in sorted order.",
    ),
)

kind_option = click.option(
    "--kind",
    type=click.Choice(["logits", "probabilities"]),
    help="What the teacher's outputs are, if the teacher file does not record it.",
)

force_option = click.option("--force", is_flag=True, help="Replace an existing output file.")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

output_options = _all_of(force_option, json_option)

seed_option = click.option("--seed", default=0, show_default=True, help="Random seed.")

#: How many: a command passes it to `softkd.learners.use_threads`.
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of training [default: $OMP_NUM_THREADS, else all cores].",
)

resume_option = click.option(
    "--resume",
    is_flag=True,
    help="Continue an interrupted run of the same command from OUT.checkpoint, if it exists.",
)

device_options = _all_of(
    click.option(
        "--devices",
        type=click.IntRange(min=1),
        help="Processes on this host that together train a student such as soft_tree, one device "
        "each [default: 1].",
    ),
    click.option(
        "--num-nodes",
        type=click.IntRange(min=1),
        help="Hosts that train together; torchrun starts the processes on each [default: 1].",
    ),
)

cluster_options = _all_of(
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Processes on this machine that train xgboost on --targets, one thread each "
        "[default: one per core].",
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of a Dask scheduler whose workers train xgboost on --targets.",
    ),
)
