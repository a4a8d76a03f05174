"""How fast a soft tree predicts: one row, and many, beside a linear layer and the peer.

The floor is the forward pass of ``Linear(n_features, n_gates)`` in torch, which every form that
asks all gates has to make in some way. All forms are asked in turn, round by round in one
process, on one thread; medians are given, and what counts are the ratios.

    python benchmarks/soft_tree_prediction.py --out benchmarks/results/soft_tree_prediction.json

Every form predicts probabilities of the same tree; the rows of PyPI's ``neural-trees``
(benchmarks/requirements.txt) those of its own tree of the same depth, in each form that it has.
The trees are trained for one epoch only: how far gates have hardened matters to the C greatest path
alone. C is compiled with ``cc -O3``, and called for one row through ctypes, for many in a loop in
C; without a compiler its rows are left out.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from soft_students import SoftDecisionTreeClassifier
from soft_students.export import to_c, to_onnx, to_soft_tree

PREDICTIONS = ("expectation", "greatest_path", "greedy")
Form = Callable[[], object]

# The loop over rows inside C.
DRIVER = """
#include "tree.h"
#include <stddef.h>
void each(const float *X, int n, double *outputs, int (*predict)(const float *, double *));
void each(const float *X, int n, double *outputs, int (*predict)(const float *, double *))
{
    int i;
    for (i = 0; i < n; i++)
        predict(X + (size_t)i * TREE_N_FEATURES, outputs + (size_t)i * TREE_N_OUTPUTS);
}
"""


def student_forms(student: SoftDecisionTreeClassifier, X: np.ndarray) -> dict[str, Form]:
    def ask(prediction: str) -> Form:
        def predict() -> np.ndarray:
            student.prediction = prediction
            return student.predict_proba(X)

        return predict

    return {f"student, {name}": ask(name) for name in PREDICTIONS}


def numpy_forms(student: SoftDecisionTreeClassifier, X: np.ndarray) -> dict[str, Form]:
    rows = X[0] if len(X) == 1 else X
    trees = {name: to_soft_tree(student, prediction=name) for name in PREDICTIONS}
    return {
        f"numpy, {name}": lambda tree=tree: tree.predict_proba(rows) for name, tree in trees.items()
    }


def onnx_forms(student: SoftDecisionTreeClassifier, X: np.ndarray, folder: Path) -> dict[str, Form]:
    forms: dict[str, Form] = {}
    for name in PREDICTIONS:
        (path,) = to_onnx(student, folder / f"{name}.onnx", prediction=name)
        session = onnx_session(path)
        forms[f"ONNX Runtime, {name}"] = lambda s=session: s.run(["probabilities"], {"X": X})
    return forms


def onnx_session(model: Path | bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def c_library(student: SoftDecisionTreeClassifier, folder: Path) -> ctypes.CDLL | None:
    compiler = shutil.which("cc")
    if compiler is None:
        click.echo("There is no C compiler: its rows are left out.", err=True)
        return None
    source, _ = to_c(student, folder / "tree.c")
    driver, library = folder / "driver.c", folder / "tree.so"
    driver.write_text(DRIVER)
    flags = ["-std=c99", "-O3", "-fPIC", "-shared"]
    subprocess.run(
        [compiler, *flags, str(source), str(driver), "-o", str(library), "-lm"], check=True
    )
    return ctypes.CDLL(str(library))


def c_forms(library: ctypes.CDLL, X: np.ndarray) -> dict[str, Form]:
    outputs = np.empty((len(X), 10))
    rows, out = X.ctypes.data_as(ctypes.c_void_p), outputs.ctypes.data_as(ctypes.c_void_p)
    n = ctypes.c_int(len(X))
    forms: dict[str, Form] = {}
    for name in PREDICTIONS:
        function = getattr(library, f"tree_{name}")
        if len(X) == 1:
            forms[f"C through ctypes, {name}"] = lambda f=function: f(rows, out)
        else:
            forms[f"C, {name}"] = lambda f=function: library.each(rows, n, out, f)
    return forms


def peer_forms(X_train: np.ndarray, y: np.ndarray, X: np.ndarray, depth: int) -> dict[str, Form]:
    try:
        from neural_trees import SoftDecisionTree
    except ImportError:
        click.echo("neural-trees is not installed: its rows are left out.", err=True)
        return {}
    tree = SoftDecisionTree(depth=depth, max_epochs=1, random_state=0).fit(X_train, y)
    soft, hard = tree.to_numpy(), tree.to_hard_tree()
    forms: dict[str, Form] = {
        "neural-trees, predict_proba": lambda: tree.predict_proba(X),
        "neural-trees, numpy": lambda: soft.predict_proba(X),
        "neural-trees, hard tree (greedy)": lambda: hard.predict_proba(X),
    }
    session = onnx_session(tree.to_onnx().SerializeToString())
    (given,) = session.get_inputs()
    wanted = [output.name for output in session.get_outputs() if "prob" in output.name.lower()]
    forms["neural-trees, ONNX Runtime"] = lambda: session.run(wanted, {given.name: X})
    return forms


def measure(
    forms: dict[str, Form], rounds: int, budget: float, refresh: Callable[[], None]
) -> dict[str, list[float]]:
    """Return seconds a call of each form, of interleaved rounds that take `budget` seconds each.

    `refresh` changes the rows before each call, outside the time.
    """

    def spent(form: Form) -> float:
        refresh()
        start = time.perf_counter()
        form()
        return time.perf_counter() - start

    repeats = {}
    for name, form in forms.items():
        spent(form)  # warms up
        repeats[name] = max(1, min(1000, int(budget / len(forms) / spent(form))))
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            times[name].append(statistics.median(spent(form) for _ in range(repeats[name])))
    return times


@click.command()
@click.option("--depth", default=8, show_default=True)
@click.option("--features", default=784, show_default=True)
@click.option("--rows", "n_rows", default=10_000, show_default=True)
@click.option("--rounds", default=15, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, writable=True))
def main(depth: int, features: int, n_rows: int, rounds: int, out: str | None) -> None:
    torch.set_num_threads(1)
    rng = np.random.RandomState(0)
    X = rng.rand(max(n_rows, 2048), features).astype(np.float32)
    y = np.arange(2048) % 10
    student = SoftDecisionTreeClassifier(depth, epochs=1, standardize=False, random_state=0)
    student.fit(X[:2048], y)
    layer = torch.nn.Linear(features, 2**depth - 1).requires_grad_(False)
    results = []
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name)
        library = c_library(student, folder)
        for size in (1, n_rows):
            batch = X[:size].copy()
            rows = itertools.cycle(X[:64])  # asked in turn: not one path alone in the cache

            def refresh(batch: np.ndarray = batch, rows: Iterator[np.ndarray] = rows) -> None:
                if len(batch) == 1:
                    batch[0] = next(rows)

            tensor = torch.from_numpy(batch)
            floor = f"floor: torch Linear({features}, {2**depth - 1})"
            forms: dict[str, Form] = {floor: lambda t=tensor: layer(t)}
            forms |= student_forms(student, batch) | numpy_forms(student, batch)
            forms |= {} if library is None else c_forms(library, batch)
            forms |= onnx_forms(student, batch, folder)
            forms |= peer_forms(X[:2048], y, batch, depth)
            times = measure(forms, rounds, 0.3 if size == 1 else 0, refresh)
            base = statistics.median(times[floor])
            for form, values in times.items():
                middle = statistics.median(values)
                low, high = np.quantile(values, [0.25, 0.75])
                results.append(
                    {
                        "rows": size,
                        "what": form,
                        "microseconds_a_call": middle * 1e6,
                        "quartiles": [low * 1e6, high * 1e6],
                        "microseconds_a_row": middle / size * 1e6,
                        "ratio_to_floor": middle / base,
                    }
                )
    table = Table("rows", "what", "µs a call", "quartiles", "µs a row", "x floor")
    for row in results:
        low, high = row["quartiles"]
        table.add_row(
            f"{row['rows']:,}",
            row["what"],
            f"{row['microseconds_a_call']:,.1f}",
            f"{low:,.1f} to {high:,.1f}",
            f"{row['microseconds_a_row']:,.1f}",
            f"{row['ratio_to_floor']:.2f}",
        )
    Console().print(table)
    if out:
        document = {
            "depth": depth,
            "features": features,
            "threads": 1,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "onnxruntime": onnxruntime.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "rows": results,
        }
        with open(out, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)


if __name__ == "__main__":
    main()
