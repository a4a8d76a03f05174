"""How good a soft tree is after equal epochs, beside the other packages that train one.

Labels alone, since no peer takes a teacher: the first 10,000 training images of MNIST, the test
set, trees of depth 8, batches of 256, ten epochs, one thread; everything else at each package's
defaults (ours without standardised pixels, as for all images). Means over three seeds.

    python benchmarks/soft_tree_accuracy.py --out benchmarks/results/soft_tree_accuracy.json

Peers: benchmarks/requirements.txt; one that is not installed is left out.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from soft_students import SoftDecisionTreeClassifier
from soft_students.datasets import load_dataset
from soft_students.studies import summarize

DEPTH, BATCH, EPOCHS, ROWS = 8, 256, 10, 10_000


def ours(seed: int) -> Any:
    return SoftDecisionTreeClassifier(
        DEPTH, batch_size=BATCH, epochs=EPOCHS, standardize=False, random_state=seed
    )


def neural_trees(seed: int) -> Any:
    from neural_trees import SoftDecisionTree

    return SoftDecisionTree(depth=DEPTH, batch_size=BATCH, max_epochs=EPOCHS, random_state=seed)


def softdtree(seed: int) -> Any:
    from softdtree import SoftDecisionTreeClassifier as Peer

    return Peer(max_depth=DEPTH, batch_size=BATCH, max_epoch=EPOCHS, random_seed=seed)


@click.command()
@click.option("--data-dir")
@click.option("--rows", "n_rows", default=ROWS, show_default=True, help="Training images.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, writable=True))
def main(data_dir: str | None, n_rows: int, seeds: int, out: str | None) -> None:
    torch.set_num_threads(1)
    data = load_dataset("mnist", data_dir=data_dir)
    X, y = data.X_train[:n_rows], data.y_train[:n_rows]
    makers: dict[str, Callable[[int], Any]] = {"soft-students": ours}
    for name, make in (("neural-trees", neural_trees), ("softdtree", softdtree)):
        if importlib.util.find_spec(name.replace("-", "_")) is None:
            click.echo(f"{name} is not installed: its row is left out.", err=True)
        else:
            makers[name] = make
    measured: dict[str, dict[str, list[float]]] = {
        name: {"accuracy": [], "seconds": []} for name in makers
    }
    for seed in range(seeds):
        for name, make in makers.items():
            # softdtree takes double precision only
            rows = X.astype(np.float64) if name == "softdtree" else X
            start = time.perf_counter()
            tree = make(seed).fit(rows, y)
            measured[name]["seconds"].append(time.perf_counter() - start)
            measured[name]["accuracy"].append(
                float(np.mean(tree.predict(data.X_test.astype(rows.dtype)) == data.y_test))
            )
    results: dict[str, dict[str, Any]] = {
        name: {"version": version(name), **{key: summarize(v) for key, v in values.items()}}
        for name, values in measured.items()
    }
    base = results["soft-students"]["seconds"]["mean"]
    table = Table("package", "accuracy", "seconds", "x soft-students")
    for name, row in results.items():
        row["ratio"] = row["seconds"]["mean"] / base
        accuracy = row["accuracy"]
        spread = f" ± {accuracy['sd']:.2%}" if accuracy["sd"] is not None else ""
        table.add_row(
            f"{name} {row['version']}",
            f"{accuracy['mean']:.2%}{spread}",
            f"{row['seconds']['mean']:.1f}",
            f"{row['ratio']:.2f}",
        )
    Console().print(table)
    if out:
        about = {"depth": DEPTH, "batch_size": BATCH, "epochs": EPOCHS, "training_rows": n_rows}
        with open(out, "w", encoding="utf-8") as file:
            json.dump({**about, "threads": 1, "rows": results}, file, indent=1)


if __name__ == "__main__":
    main()
