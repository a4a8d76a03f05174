"""Processor time of `softkd --help`, of completion and of the lists, beside that of click alone.

    python benchmarks/command_start.py --out benchmarks/results/command_start.json

Every command runs in a process of its own, in turn, and the processor time (user and system) of
the process is the measure, which depends little on other work of the machine. The first round,
which may write byte code and fill caches, is not counted.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

BASE = 'python -c "import click"'
SOFTKD = str(Path(sys.executable).with_name("softkd"))

#: The command lines by the name in the table.
COMMANDS = {
    BASE: (sys.executable, "-c", "import click"),
    "softkd --help": (SOFTKD, "--help"),
    "softkd distill --help": (SOFTKD, "distill", "--help"),
    "completion of --student": (SOFTKD,),
    "completion of --method": (SOFTKD,),
    "softkd --version": (SOFTKD, "--version"),
    "softkd datasets": (SOFTKD, "datasets"),
    "softkd students": (SOFTKD, "students"),
    "softkd methods": (SOFTKD, "methods"),
    "softkd methods kd": (SOFTKD, "methods", "kd"),
}

#: What a shell passes to complete the last word of a line.
LINES = {
    "completion of --student": "softkd distill --student s",
    "completion of --method": "softkd distill --method rkd,k",
}

#: Bounds for the commands that are typed most and for the key of completion.
AIMED = tuple(COMMANDS)[1:5]
AIM_SECONDS, AIM_RATIO = 0.3, 4.0


def processor_time(name: str) -> float:
    """Return the seconds of user and system time that a command takes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if name in LINES:
        words = LINES[name].split()
        environment |= {
            "_SOFTKD_COMPLETE": "bash_complete",
            "COMP_WORDS": LINES[name],
            "COMP_CWORD": str(len(words) - 1),
        }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(COMMANDS[name], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(rounds: int, out: Path) -> None:
    """Measure how long commands take that do not train or predict."""
    load_before = os.getloadavg()[0]
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name in COMMANDS:
            taken = processor_time(name)
            if number:
                seconds[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratios = {name: median / medians[BASE] for name, median in medians.items()}
    met = all(medians[name] <= AIM_SECONDS and ratios[name] <= AIM_RATIO for name in AIMED)
    result = {
        "rounds": rounds,
        "cpus": os.cpu_count(),
        "load_before": load_before,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("soft-students", "click")},
        },
        "seconds": seconds,
        "median_seconds": medians,
        "ratio_to_click": ratios,
        "aimed": AIMED,
        "aim_seconds": AIM_SECONDS,
        "aim_ratio": AIM_RATIO,
        "met": met,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    table = Table("command", "processor time, ms", "of click", title=f"{rounds} rounds, medians")
    for name, median in medians.items():
        table.add_row(name, f"{1000 * median:.0f}", f"{ratios[name]:.1f}x")
    Console(width=80).print(table)
    if not met:
        raise SystemExit(f"A command takes over {AIM_SECONDS} s or {AIM_RATIO:.0f}x click.")


if __name__ == "__main__":
    main()
