"""What soft targets cost an XGBoost student, and whether it is XGBoost inside.

Each round trains three models of equal trees on the same rows, in rotated order, on one thread:

- native: ``XGBClassifier.fit`` on the teacher's labels
- soft: ``XGBoostStudentClassifier.fit`` on the teacher's probabilities
- one-hot: the same on the labels, one-hot

Times are CPU times (``time.process_time``) of ``fit`` from float32 rows; what counts are the
ratios to native training in the same round. The first fit of a student imports torch, whose second
or two is no part of training: it happens before the clock starts, as for native training the import
of XGBoost does. Besides, the largest differences between the probabilities of the student and of
the plain ``XGBClassifier`` in `estimator_`, saved by XGBoost and loaded by XGBoost, and between
those of the one-hot student and of native training.

Trees are equal in number, not in size: a label that is learnt leaves no gradient and ends the
growth of native trees, a soft target goes on teaching. What the objective itself costs is the ratio
of the one-hot student, whose trees are the native ones; the table also has the nodes of the soft
student's trees by those of the native ones.

    python benchmarks/xgboost_student.py --out benchmarks/results/xgboost_student.json

MNIST is looked for in ``SOFTKD_DATA``, then in the cache, then fetched.
"""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import xgboost
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from soft_students.datasets import load_dataset
from soft_students.students import XGBoostStudentClassifier

SETTINGS = {"n_estimators": 20, "max_depth": 6, "n_jobs": 1}


def gaussian(n: int, n_features: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows, and the probabilities that a random two-layer network gives them."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, n_features)).astype(np.float32)
    hidden = np.maximum(X @ rng.normal(size=(n_features, 32)) / np.sqrt(n_features), 0)
    logits = hidden @ rng.normal(size=(32, n_classes))
    logits -= logits.mean(axis=0)  # no class without rows, which native training refuses
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return X, powers / powers.sum(axis=1, keepdims=True)


def mnist(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images as rows, and the probabilities of a softmax regression on them."""
    data = load_dataset("mnist")
    X = np.asarray(data.X_train[:n], dtype=np.float32).reshape(n, -1)
    teacher = LogisticRegression(max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early, it is less certain
        return X, teacher.fit(X, data.y_train[:n]).predict_proba(X)


SHAPES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "20,000 x 50, 10 classes": lambda: gaussian(20_000, 50, 10),
    "100,000 x 20, 2 classes": lambda: gaussian(100_000, 20, 2),
    "3,000 x 30, 40 classes": lambda: gaussian(3_000, 30, 40),
    "MNIST, 5,000 x 784, 10 classes": lambda: mnist(5_000),
}


def models(X: np.ndarray, targets: np.ndarray) -> dict[str, Callable[[], Any]]:
    labels = targets.argmax(axis=1)
    one_hot = np.eye(targets.shape[1])[labels]

    def soft(y: np.ndarray) -> XGBoostStudentClassifier:
        return XGBoostStudentClassifier(**SETTINGS, random_state=0).fit(X, y)

    return {
        "native": lambda: XGBClassifier(**SETTINGS).fit(X, labels),
        "soft": lambda: soft(targets),
        "one-hot": lambda: soft(one_hot),
    }


def plain(student: XGBoostStudentClassifier) -> XGBClassifier:
    """Return the model inside after XGBoost itself has written and read it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ubj"
        student.estimator_.save_model(path)
        again = XGBClassifier()
        again.load_model(path)
    return again


def n_nodes(model: XGBClassifier) -> int:
    return len(model.get_booster().trees_to_dataframe())


def measure(name: str, repeats: int) -> dict[str, Any]:
    X, targets = SHAPES[name]()
    makers = models(X, targets)
    seconds: dict[str, list[float]] = {what: [] for what in makers}
    fitted: dict[str, Any] = {what: make() for what, make in makers.items()}  # warm, not timed
    for repeat in range(repeats):
        for offset in range(len(makers)):
            what = list(makers)[(repeat + offset) % len(makers)]
            start = time.process_time()
            fitted[what] = makers[what]()
            seconds[what].append(time.process_time() - start)
    ratios = {
        what: [a / b for a, b in zip(times, seconds["native"], strict=True)]
        for what, times in seconds.items()
    }
    soft, native = fitted["soft"], fitted["native"]
    said = soft.predict_proba(X)
    return {
        "shape": name,
        "rows": X.shape[0],
        "features": X.shape[1],
        "classes": targets.shape[1],
        "cpu_seconds": seconds,
        "ratio_median": {what: statistics.median(values) for what, values in ratios.items()},
        "ratio_mean": {what: statistics.mean(values) for what, values in ratios.items()},
        "ratio_sd": {what: statistics.stdev(values) for what, values in ratios.items()},
        "plain_model_differs_by": float(np.abs(plain(soft).predict_proba(X) - said).max()),
        "one_hot_differs_by": float(
            np.abs(fitted["one-hot"].predict_proba(X) - native.predict_proba(X)).max()
        ),
        "nodes": {
            "native": n_nodes(native),
            "soft": n_nodes(soft.estimator_),
            "one-hot": n_nodes(fitted["one-hot"].estimator_),
        },
        "trees": int(soft.estimator_.get_booster().num_boosted_rounds()),
    }


@click.command(help=__doc__.split("\n")[0])
@click.option("--repeats", type=click.IntRange(2), default=4, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False), help="Write all times to this JSON file.")
def main(repeats: int, out: str | None) -> None:
    rows = []
    for name in SHAPES:
        rows.append(measure(name, repeats))
        if out:  # after each, since the last takes longest
            result = {
                "settings": SETTINGS,
                "xgboost": xgboost.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
                "rows": rows,
            }
            Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table(
        "data", "native, s", "soft x", "one-hot x", "nodes x", "plain differs", "one-hot differs"
    )
    for row in rows:
        spread = [
            f"{row['ratio_mean'][what]:.3f} ± {row['ratio_sd'][what]:.3f}"
            for what in ("soft", "one-hot")
        ]
        table.add_row(
            row["shape"],
            f"{statistics.median(row['cpu_seconds']['native']):.2f}",
            *spread,
            f"{row['nodes']['soft'] / row['nodes']['native']:.2f}",
            f"{row['plain_model_differs_by']:.1e}",
            f"{row['one_hot_differs_by']:.1e}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
