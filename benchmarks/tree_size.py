"""How far to prune a hard tree that is taught by a network and that no parameter limits.

Soft targets differ from row to row, so a tree that grows until its leaves are pure has a leaf for
nearly every row. Cost-complexity pruning removes what adds less than `alpha` for each leaf; here
alpha is a share of the variance of the soft targets, the impurity of the root. Teachers are a
network and boosted trees, trained on the same rows. Each share is compared on held-out rows with
the tree that is not pruned, and in size with the tree on labels.

Install what real_data.py says. Run, on one thread:

    OMP_NUM_THREADS=1 python benchmarks/tree_size.py

``--table`` then puts the table into docs/students.md.
"""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import sklearn
from markdown import put_into, table
from real_data import NAMES, Split, load, split
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from soft_students import DecisionTreeStudentClassifier
from soft_students.studies.parts import write_json

RESULTS = Path(__file__).parent / "results" / "tree_size.json"
PAGE = Path(__file__).parents[1] / "docs" / "students.md"
SHARES = (0.0, 3e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3)
TEACHERS = {
    "network": lambda: MLPClassifier((100,), max_iter=100, random_state=0),
    "boosted trees": lambda: HistGradientBoostingClassifier(max_iter=50, random_state=0),
}


def measure(rows: Split, targets: np.ndarray, taught: np.ndarray, alpha: float) -> dict[str, Any]:
    """Train one tree and measure it on held-out rows."""
    start = time.process_time()
    tree = DecisionTreeStudentClassifier(ccp_alpha=alpha, random_state=0)
    tree.fit(rows.X, targets)
    seconds = time.process_time() - start
    proba = np.zeros_like(taught)
    proba[:, tree.classes_] = tree.predict_proba(rows.X_test)
    return {
        "leaves": int(tree.estimator_.get_n_leaves()),
        "accuracy": float((proba.argmax(axis=1) == rows.y_test).mean()),
        "agreement": float((proba.argmax(axis=1) == taught.argmax(axis=1)).mean()),
        "soft_cross_entropy": float(-(taught * np.log(np.maximum(proba, 1e-7))).sum(axis=1).mean()),
        "cpu_seconds": round(seconds, 3),
    }


def run(name: str, seed: int, n_train: int | None, data_dir: str | None) -> list[dict[str, Any]]:
    """Return one row a teacher and share, and one for the tree on labels."""
    rows = split(load(name, data_dir), seed, n_train)
    found = []
    for which, make in TEACHERS.items():
        about = {"data": name, "rows": len(rows.X), "teacher": which, "seed": seed}
        teacher = make().fit(rows.X, rows.y)
        soft, taught = teacher.predict_proba(rows.X), teacher.predict_proba(rows.X_test)
        found.append({**about, "share": "labels", **measure(rows, rows.y, taught, 0.0)})
        variance = float(soft.var(axis=0).mean())
        for share in SHARES:
            found.append({**about, "share": share, **measure(rows, soft, taught, share * variance)})
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return by share the leaves beside those on labels, and what is lost, over all cases."""
    cases: dict[tuple, dict[Any, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        case = tuple(row[key] for key in ("data", "rows", "teacher", "seed"))
        cases[case][row["share"]] = row
    told = {}
    for share in SHARES:
        pairs = [(case[share], case[0.0], case["labels"]) for case in cases.values()]
        lost = [whole["accuracy"] - one["accuracy"] for one, whole, _ in pairs]
        ratios = [one["leaves"] / labels["leaves"] for one, _, labels in pairs]
        told[str(share)] = {
            "cases": len(pairs),
            "median_leaves_to_labels": float(np.median(ratios)),
            "most_leaves_to_labels": float(max(ratios)),
            "too_many_leaves": sum(
                one["leaves"] > max(64, 3 * labels["leaves"]) for one, _, labels in pairs
            ),
            "mean_accuracy_lost": float(np.mean(lost)),
            "most_accuracy_lost": float(max(lost)),
            "mean_agreement_lost": float(
                np.mean([whole["agreement"] - one["agreement"] for one, whole, _ in pairs])
            ),
            "mean_cross_entropy_gained": float(
                np.mean(
                    [
                        whole["soft_cross_entropy"] - one["soft_cross_entropy"]
                        for one, whole, _ in pairs
                    ]
                )
            ),
        }
    return told


def write_page(told: dict[str, dict[str, float]]) -> None:
    """Put the summary into the page of the students."""
    shown = ("0.0", "0.0001", "0.0002", "0.0005", "0.001")
    measures = (
        (
            "leaves, in those of the tree on labels (median)",
            "median_leaves_to_labels",
            "{:.2f}",
        ),
        ("accuracy lost against the unpruned tree, points (mean)", "mean_accuracy_lost", "{:.2f}"),
        ("the same, worst case", "most_accuracy_lost", "{:.2f}"),
        ("soft cross-entropy gained, nats (mean)", "mean_cross_entropy_gained", "{:.3f}"),
    )
    lines = []
    for title, measure_name, form in measures:
        scale = 100 if "accuracy" in measure_name else 1
        lines.append([title, *(form.format(scale * told[key][measure_name]) for key in shown)])
    put_into(PAGE, "tree size", table(["share of the variance", *shown], lines))


@click.command()
@click.option("--data", "names", multiple=True, type=click.Choice(NAMES), help="[default: all]")
@click.option("--seeds", default=3, show_default=True)
@click.option("--data-dir", help="Folder of MNIST's files.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--table", "only_table", is_flag=True, help="Run nothing; put the table into docs.")
def main(
    names: tuple[str, ...], seeds: int, data_dir: str | None, out: Path, only_table: bool
) -> None:
    """Run all, and write the results."""
    if only_table:
        write_page(json.loads(out.read_text())["summary"])
        return
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows: list[dict[str, Any]] = []
    sizes: list[tuple[str, int | None]] = [(name, None) for name in names or NAMES]
    sizes += [(name, 20_000) for name in ("diamonds", "mnist") if name in (names or NAMES)]
    for name, n_train in sizes:
        for seed in range(seeds if n_train is None else 1):
            rows += run(name, seed, n_train, data_dir)
            click.echo(f"{name} {n_train or ''} {seed}", err=True)
    environment = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    write_json(out, {"environment": environment, "summary": summary(rows), "rows": rows})


if __name__ == "__main__":
    main()
