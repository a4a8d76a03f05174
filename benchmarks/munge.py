"""How long MUNGE takes for a large table of mixed columns, beside a plain loop over its rows.

    python benchmarks/munge.py --out benchmarks/results/munge.json

The table has continuous columns, whole numbers and categories. Rows come from a few clusters of low
rank, as columns of real tables depend on each other. What is timed, each in seconds a copy:

``Munge``
    With its defaults, which seek neighbours among 20,000 rows drawn at random.
``Munge(candidates=None)``
    The nearest of all rows, as in the paper.
``Munge, a further copy``
    The search is not made again.
``loop, neighbours by brute force``
    The paper's algorithm as it reads: for each row the distances to all others by numpy, then
    attribute by attribute.
``loop, neighbours given``
    The same without the search.

Both loops are linear in the rows that they go through, so they are timed on `--loop-rows` rows of
the whole table and multiplied up. `--threads` limits BLAS and OpenMP, of the loop too. Seconds are
those of the clock and those of all processors together; where a machine has other work to do, only
the latter compare. They favour the loops, which use one processor. The results are checked: no
category and no whole number that did not occur.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import sklearn
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from soft_students.transfer import Munge
from soft_students.transfer.munge import nearest_neighbours

CLUSTERS, RANK = 12, 8


def mixed_table(n: int, n_columns: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, which columns hold codes of categories, and which hold whole numbers."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=2, size=(CLUSTERS, RANK))
    factors = centres[rng.integers(CLUSTERS, size=n)] + rng.normal(size=(n, RANK))
    X = factors @ rng.normal(size=(RANK, n_columns)) + 0.3 * rng.normal(size=(n, n_columns))
    categorical, whole = np.zeros((2, n_columns), dtype=bool)
    categorical[-(n_columns // 5) :] = True
    whole[-2 * (n_columns // 5) : -(n_columns // 5)] = True
    X[:, whole] = np.rint(X[:, whole] * 5)
    for column in np.flatnonzero(categorical):
        levels = rng.integers(3, 9)
        cuts = np.quantile(X[:, column], np.linspace(0, 1, levels + 1)[1:-1])
        X[:, column] = np.searchsorted(cuts, X[:, column])
    return X, categorical, whole


def plain_loop(
    X: np.ndarray,
    rows: np.ndarray,
    categorical: np.ndarray,
    swapped: np.ndarray,
    neighbours: np.ndarray | None,
    rng: np.random.RandomState,
    p: float = 0.5,
    s: float = 1.0,
) -> np.ndarray:
    """Go through `rows` of `X` as the paper's algorithm does; None seeks each one's neighbour."""
    numbers = X[:, ~categorical] / X[:, ~categorical].std(axis=0)
    codes = X[:, categorical]
    made = X[rows].copy()
    for place, i in enumerate(rows):
        if neighbours is None:
            distances = ((numbers - numbers[i]) ** 2).sum(axis=1)
            distances += 2 * (codes != codes[i]).sum(axis=1)
            distances[i] = np.inf
            neighbour = X[distances.argmin()]
        else:
            neighbour = X[neighbours[i]]
        for a in range(X.shape[1]):
            if rng.random_sample() < p:
                if swapped[a]:
                    made[place, a] = neighbour[a]
                else:
                    deviation = abs(X[i, a] - neighbour[a]) / s
                    made[place, a] = rng.normal(neighbour[a], deviation)
    return made


def timed(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Return seconds of the clock and of the processors, and what the work returns."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def check(made: np.ndarray, X: np.ndarray, discrete: np.ndarray) -> None:
    for column in np.flatnonzero(discrete):
        if not np.isin(made[:, column], X[:, column]).all():
            raise SystemExit(f"Column {column} holds values that did not occur.")


def measure(
    X: np.ndarray, categorical: np.ndarray, whole: np.ndarray, loop_rows: int, seed: int
) -> dict[str, np.ndarray]:
    discrete = categorical | whole
    seconds: dict[str, np.ndarray] = {}
    for name, munge in (
        ("Munge", Munge(categorical=categorical)),
        ("Munge(candidates=None)", Munge(categorical=categorical, candidates=None)),
    ):
        copies = munge.copies(X, 2, seed)
        seconds[name], made = timed(lambda copies=copies: next(copies))
        check(made, X, discrete)
        if name == "Munge":
            seconds["Munge, a further copy"], made = timed(lambda copies=copies: next(copies))
            check(made, X, discrete)
    rng = np.random.RandomState(seed)
    rows = rng.choice(len(X), loop_rows, replace=False)
    scale = len(X) / loop_rows
    brute, made = timed(lambda: plain_loop(X, rows, categorical, discrete, None, rng))
    check(made, X, discrete)
    seconds["loop, neighbours by brute force"] = brute * scale
    known = nearest_neighbours(X, categorical, rng.choice(len(X), 1000, replace=False))
    given, made = timed(lambda: plain_loop(X, rows, categorical, discrete, known, rng))
    check(made, X, discrete)
    seconds["loop, neighbours given"] = given * scale
    return seconds


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--columns", default=50, show_default=True)
@click.option("--loop-rows", default=300, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(rows: int, columns: int, loop_rows: int, repeats: int, threads: int, out: Path) -> None:
    """Time MUNGE and a plain loop over rows."""
    runs = []
    loads = []
    with threadpool_limits(threads):
        for seed in range(repeats):
            loads.append(os.getloadavg()[0])
            runs.append(measure(*mixed_table(rows, columns, seed), loop_rows, seed))
    clock, processors = (
        {name: [float(run[name][kind]) for run in runs] for name in runs[0]} for kind in (0, 1)
    )
    ratios = {
        f"{loop} / {munge}": float(np.mean(processors[loop]) / np.mean(processors[munge]))
        for loop, munge in (
            ("loop, neighbours by brute force", "Munge"),
            ("loop, neighbours by brute force", "Munge(candidates=None)"),
            ("loop, neighbours given", "Munge"),
            ("loop, neighbours given", "Munge, a further copy"),
        )
    }
    result = {
        "rows": rows,
        "columns": columns,
        "categorical": columns // 5,
        "whole": columns // 5,
        "loop_rows": loop_rows,
        "threads": threads,
        "cpus": os.cpu_count(),
        "load_before": loads,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "clock_seconds": clock,
        "processor_seconds": processors,
        "ratios_of_processor_seconds": ratios,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    table = Table("", "clock, s", "processors, s", title=f"{rows:,} x {columns}, {threads} threads")
    for name in clock:
        each = (f"{np.mean(t[name]):.2f} ± {np.std(t[name]):.2f}" for t in (clock, processors))
        table.add_row(name, *each)
    console = Console(width=110)
    console.print(table)
    for name, value in ratios.items():
        console.print(f"{name}: {value:.1f}x", highlight=False)


if __name__ == "__main__":
    main()
