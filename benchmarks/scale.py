"""What work on more rows than memory costs, and that it loses nothing.

    python benchmarks/scale.py label --folder SCRATCH --out benchmarks/results/scale_label.json

`label`: Parquet files of float32 (50 features, files of 250,000 rows, one row group each) are made
in the folder given, and labelled by an MLP of 50-256-256-10 in one worker process and in two, for
each of the sizes. Resident memory is that of each process of the command, sampled every 50 ms.
Seconds are the command's own, its start apart: from the moment when the first part was begun on the
workers to the last; the whole command, imports and start of the workers included, is told besides.
Then two workers label once more, and one of them gets SIGKILL when half of the parts are there: the
folder must end with the same bytes.

    python benchmarks/scale.py train --folder SCRATCH --out benchmarks/results/scale_train.json

`train`: the same rows, labelled, teach a soft tree of depth 8, a network of 50-256-256-10 and
boosted trees of depth 6, from the parts, in one process and in two, each with one thread. One epoch
and three are trained, or two rounds and six; half of the difference is an epoch, or two rounds; the
rest is the start: imports, processes, and the pass for means and deviations, or for bins. The
weights of two processes are compared with those of one after one epoch. At the smallest size one
process also trains on the same rows in memory. Batches hold 4,096 rows.

    python benchmarks/scale.py xgboost --out benchmarks/results/scale_xgboost.json

`xgboost`: the XGBoost student on soft targets, by `fit_xgboost` on two worker processes and by its
own `fit`, on the same rows: the largest difference of their probabilities, and of each to the
teacher's, with features of at most 100 distinct values, which both bin alike, and with continuous
ones.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

N_FEATURES, N_CLASSES, FILE_ROWS = 50, 10, 250_000
LIMIT_GB, SLOWER = 1.5, 1.25
BATCH_SIZE = 4096
ROUNDS = 2  # of boosting that stand for an epoch

TEACHER = """
from torch import nn
def mlp():
    return nn.Sequential(
        nn.Linear(50, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
"""


def make_teacher(folder: Path) -> tuple[str, ...]:
    """Write an MLP with random weights, whose speed is that of a trained one."""
    import torch

    (folder / "scale_teacher.py").write_text(TEACHER)
    sys.path.insert(0, str(folder))
    import scale_teacher

    torch.manual_seed(0)
    torch.save(scale_teacher.mlp().state_dict(), folder / "t.pt")
    return ("--teacher", "t.pt", "--arch", "scale_teacher:mlp", "--input-shape", str(N_FEATURES))


def make_rows(folder: Path, rows: int) -> None:
    """Write the files."""
    folder.mkdir()
    for i, start in enumerate(range(0, rows, FILE_ROWS)):
        X = np.random.default_rng(i).standard_normal(
            (min(FILE_ROWS, rows - start), N_FEATURES), dtype=np.float32
        )
        table = pa.table({f"f{j}": X[:, j] for j in range(N_FEATURES)})
        pq.write_table(table, folder / f"{i:03}.parquet", row_group_size=FILE_ROWS)


def checksum(folder: Path) -> str:
    """Return one checksum of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def label_once(
    folder: Path, teacher: tuple[str, ...], data: str, out: str, workers: int, kill: bool = False
) -> dict[str, Any]:
    """Run the command; watch the memory of its processes, and kill a worker halfway if asked."""
    target, files = folder / out, len(list((folder / data).iterdir()))
    command = [sys.executable, "-m", "softkd", "label", *teacher, "--data", f"{data}/*.parquet"]
    began, first = time.perf_counter(), None
    process = subprocess.Popen(
        [*command, "--out", out, "--workers", str(workers), "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    root, peaks, killed = psutil.Process(process.pid), {}, False
    while process.poll() is None:
        _note_memory(root, peaks)
        if first is None and target.exists() and any(target.glob(".*.tmp")):
            first = time.perf_counter()
        if kill and not killed and len(list(target.glob("*.npy"))) >= files // 2:
            workers_now = [p for p in _processes(root) if "spawn_main" in " ".join(p.cmdline())]
            workers_now[0].kill()
            killed = True
        time.sleep(0.05)
    total = time.perf_counter() - began
    told = json.loads(process.stdout.read())
    ended = max(path.stat().st_mtime for path in target.glob("*.npy"))
    seconds = ended - (time.time() - (time.perf_counter() - (first or began)))
    return {
        "workers": workers,
        "seconds_command": round(total, 2),
        "seconds_labelling": round(seconds, 2),
        "rows_per_s": round(told["rows_labelled"] / seconds),
        "peak_rss_mb": _megabytes(peaks),
        "killed": killed,
        "checksum": checksum(target),
        "bytes_read": sum(path.stat().st_size for path in (folder / data).iterdir()),
        "bytes_written": sum(
            path.stat().st_size for path in target.iterdir() if not path.name.startswith(".")
        ),
    }


def _processes(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _note_memory(root: psutil.Process, peaks: dict[int, int]) -> None:
    for each in _processes(root):
        try:
            peaks[each.pid] = max(peaks.get(each.pid, 0), each.memory_info().rss)
        except psutil.Error:
            continue


def _megabytes(peaks: dict[int, int]) -> list[int]:
    return sorted((round(rss / 2**20) for rss in peaks.values()), reverse=True)


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_at_end": os.getloadavg(),
        "platform": platform.platform(),
    }


@click.group(help=__doc__)
def main() -> None:
    """Measure."""


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Scratch space.")
@click.option("--sizes", default="500000,1500000,5000000", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def label(folder: Path, sizes: str, out: Path) -> None:
    """Measure `softkd label`."""
    scratch = folder / "scale_label"
    shutil.rmtree(scratch, ignore_errors=True)  # of an interrupted run
    scratch.mkdir(parents=True)
    try:
        teacher = make_teacher(scratch)
        results = []
        for rows in map(int, sizes.split(",")):
            make_rows(scratch / "rows", rows)
            runs = []
            for name, workers, kill in (("one", 1, False), ("two", 2, False), ("killed", 2, True)):
                runs.append(label_once(scratch, teacher, "rows", name, workers, kill))
                shutil.rmtree(scratch / name)
                click.echo(f"{rows} rows, {name}: {runs[-1]}")
            results.append(
                {
                    "rows": rows,
                    "one": runs[0],
                    "two": runs[1],
                    "killed": runs[2],
                    "twice_one_over_two": round(
                        2 * runs[0]["rows_per_s"] / runs[1]["rows_per_s"], 3
                    ),
                    "same_bytes": len({run["checksum"] for run in runs}) == 1,
                }
            )
            shutil.rmtree(scratch / "rows")
    finally:
        shutil.rmtree(scratch)
    content = {
        "aims": {"peak_rss_mb": LIMIT_GB * 1000, "twice_one_over_two": SLOWER, "same_bytes": True},
        "features": N_FEATURES,
        "classes": N_CLASSES,
        "teacher": "MLP 50-256-256-10, one thread",
        "file_rows": FILE_ROWS,
        "results": results,
        "machine": _machine(),
    }
    out.write_text(json.dumps(content, indent=1) + "\n")


def train_once(
    folder: Path, student: str, n_devices: int, epochs: int, in_memory: bool
) -> tuple[dict[str, Any], np.ndarray]:
    """Train in a process of its own, or two; return what it took, and the weights."""
    command = [sys.executable, __file__, "train-once", student, str(folder / "targets")]
    command += [str(n_devices), str(epochs), str(folder / "weights.npy")]
    began, peaks = time.perf_counter(), {}
    process = subprocess.Popen(
        [*command, *(["--in-memory"] if in_memory else [])],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    root = psutil.Process(process.pid)
    while process.poll() is None:
        _note_memory(root, peaks)
        time.sleep(0.05)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    seconds = round(time.perf_counter() - began, 2)
    return {"seconds": seconds, "peak_rss_mb": _megabytes(peaks)}, np.load(folder / "weights.npy")


@main.command("train-once", hidden=True)
@click.argument("student")
@click.argument("targets")
@click.argument("n_devices", type=int)
@click.argument("epochs", type=int)
@click.argument("weights")
@click.option("--in-memory", is_flag=True)
def train_here(
    student: str, targets: str, n_devices: int, epochs: int, weights: str, in_memory: bool
) -> None:
    import torch
    from torch import nn

    from soft_students import (
        NeuralStudentClassifier,
        SoftDecisionTreeClassifier,
        XGBoostStudentClassifier,
    )
    from soft_students.dask import fit_xgboost
    from soft_students.dask.cluster import dask_client
    from soft_students.labelled import LabelledParts
    from soft_students.teachers import as_teacher

    parts = LabelledParts(targets)
    X = teacher = None
    if in_memory:
        X = np.concatenate([part.X() for part in parts])
        logits = np.concatenate([part.targets() for part in parts])
        teacher = as_teacher(logits, kind="logits")
    if student == "xgboost":
        boosted = XGBoostStudentClassifier(n_estimators=ROUNDS * epochs, n_jobs=1, random_state=0)
        if in_memory:
            boosted.fit(X, teacher)
        else:
            with dask_client(None, n_devices) as client:
                boosted = fit_xgboost(boosted, parts, client=client)
        probabilities = boosted.predict_proba(next(parts[0].batches(10_000))[0])
        np.save(weights, probabilities.ravel())
        return
    shared = {"epochs": epochs, "batch_size": BATCH_SIZE, "n_devices": n_devices, "random_state": 0}
    if student == "soft_tree":
        model = SoftDecisionTreeClassifier(depth=8, n_jobs=1, **shared)
    else:
        torch.manual_seed(0)
        sizes = (N_FEATURES, 256, 256, N_CLASSES)
        layers = [
            layer for i, o in itertools.pairwise(sizes) for layer in (nn.Linear(i, o), nn.ReLU())
        ]
        model = NeuralStudentClassifier(
            nn.Sequential(*layers[:-1]), method="kd", validation_fraction=0.0, n_jobs=1, **shared
        )
    model.fit(parts if X is None else X, teacher)
    if student == "soft_tree":
        learned = [model.gate_weights_.ravel(), model.gate_biases_, model.leaf_logits_.ravel()]
    else:
        learned = [tensor.numpy().ravel() for tensor in model.module_.state_dict().values()]
    np.save(weights, np.concatenate(learned))


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Scratch space.")
@click.option("--sizes", default="500000,1000000,2000000", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def train(folder: Path, sizes: str, out: Path) -> None:
    """Measure soft trees and networks on labelled parts."""
    scratch = folder / "scale_train"
    shutil.rmtree(scratch, ignore_errors=True)  # of an interrupted run
    scratch.mkdir(parents=True)
    results = []
    try:
        teacher = make_teacher(scratch)
        for number, rows in enumerate(map(int, sizes.split(","))):
            make_rows(scratch / "rows", rows)
            command = [sys.executable, "-m", "softkd", "label", *teacher, "--out", "targets"]
            command += ["--data", "rows/*.parquet", "--workers", "2"]
            subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            for student in ("soft_tree", "network", "xgboost"):
                weights = {}
                for n_devices, in_memory in ((1, False), (2, False), (1, True)):
                    if in_memory and number:
                        continue
                    runs = {}
                    for epochs in (1, 3):
                        runs[epochs], learned = train_once(
                            scratch, student, n_devices, epochs, in_memory
                        )
                        weights.setdefault((n_devices, in_memory, epochs), learned)
                    epoch = (runs[3]["seconds"] - runs[1]["seconds"]) / 2
                    results.append(
                        {
                            "rows": rows,
                            "student": student,
                            "processes": n_devices,
                            "in_memory": in_memory,
                            "seconds_of_an_epoch": round(epoch, 2),
                            "microseconds_a_row": round(epoch / rows * 1e6, 2),
                            "seconds_of_the_rest": round(runs[1]["seconds"] - epoch, 2),
                            "peak_rss_mb": runs[3]["peak_rss_mb"],
                        }
                    )
                    if n_devices == 2 and student != "xgboost":
                        difference = weights[2, False, 1] - weights[1, False, 1]
                        results[-1]["largest_difference"] = float(np.abs(difference).max())
                    click.echo(json.dumps(results[-1]))
            shutil.rmtree(scratch / "rows")
            shutil.rmtree(scratch / "targets")
    finally:
        shutil.rmtree(scratch)
    content = {
        "features": N_FEATURES,
        "classes": N_CLASSES,
        "batch_size": BATCH_SIZE,
        "threads_a_process": 1,
        "results": results,
        "machine": _machine(),
    }
    out.write_text(json.dumps(content, indent=1) + "\n")


@main.command()
@click.option("--rows", default=50_000, show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def xgboost(rows: int, seeds: int, out: Path) -> None:
    import dask.array as da
    from distributed import Client, LocalCluster
    from scipy.special import softmax

    from soft_students import XGBoostStudentClassifier
    from soft_students.dask import fit_xgboost

    student = XGBoostStudentClassifier(n_estimators=50, temperature=2.0, n_jobs=1, random_state=0)
    results = []
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        for kind in ("at most 100 values", "continuous"):
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                X = rng.normal(size=(rows, 20)).astype(np.float32)
                if kind != "continuous":
                    X = np.rint(X * 10).clip(-49, 50)
                told = softmax(
                    X @ rng.normal(size=(20, 3)) + np.sin(X @ rng.normal(size=(20, 3))), 1
                )
                start = time.perf_counter()
                local = student.fit(X, told).predict_proba(X)
                local_seconds = time.perf_counter() - start
                blocks = rows // 8
                start = time.perf_counter()
                fitted = fit_xgboost(
                    student,
                    da.from_array(X, chunks=(blocks, 20)),
                    da.from_array(told, chunks=(blocks, 3)),
                    client=client,
                )
                results.append(
                    {
                        "features": kind,
                        "seed": seed,
                        "rows": rows,
                        "local_seconds": local_seconds,
                        "dask_seconds": time.perf_counter() - start,
                        "largest_difference": float(np.abs(fitted.predict_proba(X) - local).max()),
                        "mean_difference": float(np.abs(fitted.predict_proba(X) - local).mean()),
                        "local_to_teacher": float(np.abs(local - told).mean()),
                        "dask_to_teacher": float(np.abs(fitted.predict_proba(X) - told).mean()),
                    }
                )
                click.echo(json.dumps(results[-1]))
    out.write_text(json.dumps({"rows": results, "machine": platform.machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
