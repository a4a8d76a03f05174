"""Whether `soft_students.evaluation.latency` tells what an outside stopwatch tells.

    OMP_NUM_THREADS=1 python benchmarks/latency.py --out benchmarks/results/latency.json

Students of digits are saved. For each, a process of its own loads the file and times `predict` on
single rows by Python's `timeit`, which knows nothing of this package; this process measures with
`latency`. The two alternate, `--rounds` times, and the medians over rounds are compared: both see
the same machine and its other work. The aim is a difference of no more than 15 %.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import sklearn
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

import soft_students
from soft_students.datasets import load_dataset
from soft_students.evaluation import latency
from soft_students.students import available

AIM = 0.15
STUDENTS = {
    "soft_tree": {"depth": 6, "epochs": 5},
    "xgboost": {"n_estimators": 20, "n_jobs": 1},
    "tree": {"max_depth": 8},
    "forest": {"n_estimators": 20},
    "logistic": {},
    "svm": {},
}
# The rows are asked in turn, 64 of them, as `latency` does, by timeit's own loop and clock.
OUTSIDE = """
import itertools, statistics, sys, timeit
import numpy as np
from soft_students import load
student = load(sys.argv[1])
rows = itertools.cycle([row[None] for row in np.load(sys.argv[2])[:64]])
for _ in range(10):
    student.predict(next(rows))
times = timeit.repeat(lambda: student.predict(next(rows)), number=1, repeat=500)
print(statistics.median(times) * 1e6)
"""


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(rounds: int, out: Path) -> None:
    """Compare latencies with those of timeit in a process of its own."""
    data = load_dataset("digits")
    teacher = LogisticRegression(max_iter=2000).fit(data.X_train, data.y_train)
    load_before = os.getloadavg()[0]
    figures: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows.npy")
        np.save(rows, data.X_test)
        students = {}
        for name, settings in STUDENTS.items():
            students[name] = available()[name].classifier(**settings, random_state=0)
            students[name].fit(data.X_train, teacher)
            soft_students.save(students[name], Path(folder, name))
            figures[name] = {"ours": [], "timeit": []}
        for _ in range(rounds):
            for name, student in students.items():
                figures[name]["ours"].append(latency(student, data.X_test).median)
                printed = subprocess.run(
                    [sys.executable, "-c", OUTSIDE, os.fspath(Path(folder, name)), rows],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                figures[name]["timeit"].append(float(printed))
    ratios = {
        name: statistics.median(both["ours"]) / statistics.median(both["timeit"])
        for name, both in figures.items()
    }
    result = {
        "rounds": rounds,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "cpus": os.cpu_count(),
        "load_before": load_before,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "microseconds": figures,
        "ours_over_timeit": ratios,
        "aim": AIM,
        "met": all(abs(ratio - 1) <= AIM for ratio in ratios.values()),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    table = Table("student", "latency, µs", "timeit, µs", "ratio", title=f"{rounds} rounds")
    for name, both in figures.items():
        medians = (f"{statistics.median(both[key]):.0f}" for key in ("ours", "timeit"))
        table.add_row(name, *medians, f"{ratios[name]:.3f}")
    Console(width=80).print(table)
    if not result["met"]:
        raise SystemExit(f"A latency is off by more than {AIM:.0%}.")


if __name__ == "__main__":
    main()
