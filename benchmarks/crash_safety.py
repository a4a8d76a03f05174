"""Kill `softkd` at random moments: no file is ever half written, and the rerun ends as if unbroken.

    python benchmarks/crash_safety.py --out benchmarks/results/crash_safety.json

Each trial runs one command in an empty folder and sends SIGKILL to it and all its processes after a
random time, up to what an unbroken run takes. Then it looks at what is left: an output that is
there must be that of an unbroken run, byte for byte. The same command with ``--resume`` (``softkd
label`` goes on by itself) must then end well and leave the same files as an unbroken run, byte for
byte; what a kill may leave besides is a hidden temporary file that nobody reads.

Commands run in forks of this process, which has imported everything, so that the time goes into
what they do; checkpoints are written after every epoch or round and not every ten seconds, for the
same reason. Results of commands that are not asked for stay in the file.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: its threads do not survive a fork

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from soft_students.datasets import load_dataset
from soft_students.students.classical import boosting_rounds
from soft_students.students.soft_tree import base
from soft_students.teachers import training
from soft_students.versions import versions
from softkd.shell import main as softkd

DISTILL = ("distill", "--no-baseline", "--transfer", "none", "--seed", "0")
COMMANDS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "teach": lambda shared: (
        "teach",
        "--data",
        "digits",
        "--arch",
        "mlp",
        "--epochs",
        "6",
        "--out",
        "t.pt",
    ),
    "distill soft_tree": lambda shared: (
        *(*DISTILL, "--teacher", str(shared / "t.pt"), "--student", "soft_tree"),
        *("--epochs", "25", "--out", "s.student"),
    ),
    "distill neural": lambda shared: (
        *(*DISTILL, "--teacher", str(shared / "t.pt"), "--student", "neural", "--module", "mlp"),
        *("--epochs", "10", "--out", "s.student"),
    ),
    "distill xgboost": lambda shared: (
        *(*DISTILL, "--teacher", str(shared / "t.pt"), "--student", "xgboost"),
        *("--set", "n_estimators=80", "--set", "n_jobs=1", "--out", "s.student"),
    ),
    "distill lightgbm": lambda shared: (
        *(*DISTILL, "--teacher", str(shared / "t.pt"), "--student", "lightgbm"),
        *("--set", "n_estimators=80", "--set", "colsample_bytree=0.5", "--set", "n_jobs=1"),
        *("--out", "s.student"),
    ),
    "label": lambda shared: (
        *("label", "--teacher", str(shared / "t.pt"), "--data", str(shared / "*.npy")),
        *("--workers", "0", "--part-rows", "4096", "--out", "targets"),
    ),
}


def start(arguments: tuple[str, ...], folder: Path, log: Path) -> int:
    """Run the command in a fork of this process and a session of its own; return its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 1
    try:
        code = softkd(list(arguments), standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    finally:
        os._exit(code)


def run(arguments: tuple[str, ...], folder: Path, log: Path) -> float:
    """Run the command to its end; return the seconds."""
    began = time.perf_counter()
    _, status = os.waitpid(start(arguments, folder, log), 0)
    if status:
        raise RuntimeError(f"softkd {' '.join(arguments)} failed: {log.read_text()}")
    return time.perf_counter() - began


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but for hidden files, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def trial(
    arguments: tuple[str, ...], whole: dict[str, bytes], seconds: float, root: Path
) -> dict[str, Any]:
    """Break a run off, look, run it again, look again."""
    with tempfile.TemporaryDirectory(dir=root) as name:
        folder, log = Path(name) / "out", Path(name) / "log"
        folder.mkdir()
        child = start(arguments, folder, log)
        time.sleep(seconds)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)  # before it had a session of its own
        _, status = os.waitpid(child, 0)
        left = contents(folder)
        half = [path for path, data in left.items() if path in whole and data != whole[path]]
        hidden = sum(path.suffix == ".tmp" for path in folder.rglob(".*"))
        again = arguments if arguments[0] == "label" else (*arguments, "--resume")
        ended = set(whole) <= set(left)
        problem = None
        if not ended:
            try:
                run(again, folder, log)
            except RuntimeError as error:
                problem = str(error)
        same = contents(folder) == whole
    return {
        "seconds": round(seconds, 3),
        "killed": os.WIFSIGNALED(status),
        "half_files": half,
        "checkpoint": any(path.endswith(".checkpoint") for path in left),
        "ended_before": ended,
        "temporary_files": hidden,
        "rerun_failed": problem,
        "same": same,
    }


@click.command(help=__doc__)
@click.option("--trials", default=200, show_default=True, help="A command.")
@click.option("--commands", multiple=True, type=click.Choice(list(COMMANDS)))
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(trials: int, commands: tuple[str, ...], seed: int, out: Path) -> None:
    for module in (base, boosting_rounds, training):
        module.CHECKPOINT_INTERVAL = 0.0
    rng = np.random.default_rng(seed)
    results: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"commands": {}}
    results |= {"versions": versions(), "seed": seed}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shared = root / "shared"
        shared.mkdir()
        run(COMMANDS["teach"](shared), shared, root / "log")
        rows = load_dataset("digits").X_train
        for k in range(4):
            np.save(shared / f"rows-{k}.npy", np.tile(rows, (30, 1)))
        for command in commands or COMMANDS:
            arguments = COMMANDS[command](shared)
            # As deep as the folders of trials: labels hold the way to their data.
            folder = root / command.replace(" ", "-") / "out"
            folder.mkdir(parents=True)
            run(arguments, folder, root / "log")
            whole = contents(folder)
            again = folder.parent / "again"  # timed once all that is imported late is there
            again.mkdir()
            seconds = run(arguments, again, root / "log")
            done = [
                trial(arguments, whole, seconds * rng.random() * 1.05, root)
                for _ in track(range(trials), command, console=Console(stderr=True))
            ]
            results["commands"][command] = {
                "arguments": [argument.replace(str(shared), ".") for argument in arguments],
                "trials": trials,
                "unbroken_seconds": round(seconds, 3),
                "killed": sum(each["killed"] for each in done),
                "with_checkpoint": sum(each["checkpoint"] for each in done),
                "output_was_there": sum(each["ended_before"] for each in done),
                "temporary_files_left": sum(each["temporary_files"] > 0 for each in done),
                "half_files": sum(bool(each["half_files"]) for each in done),
                "reruns_failed": sum(each["rerun_failed"] is not None for each in done),
                "not_the_same": sum(not each["same"] for each in done),
                "failures": [
                    e for e in done if e["half_files"] or e["rerun_failed"] or not e["same"]
                ],
            }
            out.write_text(json.dumps(results, indent=1) + "\n")
    table = Table("command", "killed", "with checkpoint", "half files", "rerun failed", "not same")
    for command, row in results["commands"].items():
        keys = ("killed", "with_checkpoint", "half_files", "reruns_failed", "not_the_same")
        table.add_row(command, *(str(row[key]) for key in keys))
    Console().print(table)


if __name__ == "__main__":
    main()
