"""How fast a soft tree trains: one optimiser step against the least that any gate layer costs.

The floor is what every implementation has to do: ``Linear(n_features, n_gates)`` forward, the
gradient of its weights, and a fused Adam step. Times are medians of interleaved rounds in one
process, on one thread; what counts are the ratios.

    python benchmarks/soft_tree_training.py --out benchmarks/results/soft_tree_training.json

PyPI's ``neural-trees`` (benchmarks/requirements.txt) is timed through its public ``fit``, as the
difference between five epochs and one, per step; so is this package, in its own row.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from soft_students import SoftDecisionTreeClassifier
from soft_students.students.soft_tree.kernel import (
    CrossEntropyLeaves,
    SplitBalance,
    Workspace,
    loss_and_gradients,
)
from soft_students.students.soft_tree.parameters import TreeParameters

N_CLASSES = 10


def floor(n_features: int, n_gates: int, batch_size: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(batch_size, n_features, generator=generator)
    upstream = torch.randn(batch_size, n_gates, generator=generator) / batch_size
    layer = nn.Linear(n_features, n_gates)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, fused=True)

    @torch.no_grad()
    def step() -> None:
        layer(X)
        layer.weight.grad = upstream.t() @ X
        layer.bias.grad = upstream.sum(0)
        optimizer.step()

    return step


def tree_step(
    depth: int, n_features: int, batch_size: int, mixture_weight: float, penalty: float
) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    n_gates = 2**depth - 1
    X = torch.rand(batch_size, n_features, generator=generator)
    targets = torch.randn(batch_size, N_CLASSES, generator=generator).softmax(1)
    weights = torch.full((batch_size,), 1 / batch_size)
    parameters = TreeParameters(
        gate_weights=torch.randn(n_gates, n_features, generator=generator) * n_features**-0.5,
        gate_biases=torch.zeros(n_gates),
        log_betas=None,
        leaves=torch.randn(n_gates + 1, N_CLASSES, generator=generator) * 0.1,
    )
    learned = [parameters.gate_weights, parameters.gate_biases, parameters.leaves]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, fused=True)
    leaf_loss = CrossEntropyLeaves(mixture_weight)
    balance = SplitBalance(depth, penalty, X) if penalty else None
    workspace = Workspace(depth, batch_size, X)

    @torch.no_grad()
    def step() -> None:
        _, _, gradient = loss_and_gradients(
            parameters, X, targets, weights, leaf_loss, balance, workspace
        )
        parameters.gate_weights.grad = gradient.gate_weights
        parameters.gate_biases.grad = gradient.gate_biases
        parameters.leaves.grad = gradient.leaves
        optimizer.step()

    return step


def seconds(step: Callable[[], None], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def seconds_of_fit(
    make: Callable[[int], object], X: np.ndarray, y: np.ndarray, steps: int
) -> float:
    """Return seconds a step of a public fit: five epochs less one, so that set-up drops out."""

    def timed(epochs: int) -> float:
        start = time.perf_counter()
        make(epochs).fit(X, y)  # type: ignore[attr-defined]
        return time.perf_counter() - start

    return (timed(5) - timed(1)) / (4 * steps)


@click.command()
@click.option("--depth", default=8, show_default=True)
@click.option("--features", default=784, show_default=True)
@click.option("--batch-size", "batch_sizes", multiple=True, type=int, default=(64, 256, 1024))
@click.option("--rounds", default=25, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, writable=True))
def main(
    depth: int, features: int, batch_sizes: tuple[int, ...], rounds: int, out: str | None
) -> None:
    torch.set_num_threads(1)
    try:
        import neural_trees
    except ImportError:
        neural_trees = None
        click.echo("neural-trees is not installed: its row is left out.", err=True)
    rows = []
    for batch_size in batch_sizes:
        steps = {
            "floor": floor(features, 2**depth - 1, batch_size),
            "tree, mixture loss": tree_step(depth, features, batch_size, 1.0, 0.0),
            "tree, mixture loss, penalty": tree_step(depth, features, batch_size, 1.0, 0.1),
            "tree, both losses, penalty": tree_step(depth, features, batch_size, 0.9, 0.1),
        }
        repeats = max(2, 4096 // batch_size)
        times: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(rounds + 2):
            for name, step in steps.items():
                spent = seconds(step, repeats)
                if turn >= 2:  # the first rounds warm up
                    times[name].append(spent)
        n_steps = max(4, 2048 // batch_size)
        rng = np.random.RandomState(0)
        X = rng.rand(n_steps * batch_size, features).astype(np.float32)
        y = np.arange(len(X)) % N_CLASSES
        fits: dict[str, Callable[[int], object]] = {
            "fit, soft-students": lambda epochs, b=batch_size: SoftDecisionTreeClassifier(
                depth, epochs=epochs, batch_size=b, standardize=False, random_state=0
            )
        }
        if neural_trees is not None:
            fits["fit, neural-trees"] = lambda epochs, b=batch_size: neural_trees.SoftDecisionTree(
                depth=depth, max_epochs=epochs, batch_size=b, random_state=0
            )
        for _ in range(5):
            for name, make in fits.items():
                times.setdefault(name, []).append(seconds_of_fit(make, X, y, n_steps))
        base = statistics.median(times["floor"])
        for name, values in times.items():
            middle = statistics.median(values)
            low, high = np.quantile(values, [0.25, 0.75])
            rows.append(
                {
                    "batch_size": batch_size,
                    "what": name,
                    "milliseconds_a_step": middle * 1e3,
                    "quartiles": [low * 1e3, high * 1e3],
                    "ratio_to_floor": middle / base,
                }
            )
    table = Table("batch", "what", "ms a step", "quartiles", "x floor")
    for row in rows:
        low, high = row["quartiles"]
        table.add_row(
            str(row["batch_size"]),
            row["what"],
            f"{row['milliseconds_a_step']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{row['ratio_to_floor']:.2f}",
        )
    Console().print(table)
    if out:
        result = {
            "depth": depth,
            "features": features,
            "threads": 1,
            "torch": torch.__version__,
            "neural_trees": getattr(neural_trees, "__version__", None),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "rows": rows,
        }
        with open(out, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
