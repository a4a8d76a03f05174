"""The temperature and the hard weight of a neural student, for teachers of two kinds.

    softkd teach --data mnist --arch cnn --out teachers/mnist.pt
    python benchmarks/neural_temperature.py

Digits are split in half, and an MLP of the defaults learns from a network or from a random forest;
of MNIST, `small_cnn` learns from a CNN on 1,000 images, as in `methods_table.py`, and is tested on
all test images. Each row has three seeds. The table is in docs/methods.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import markdown
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from soft_students import NeuralStudentClassifier
from soft_students.datasets import load_dataset
from soft_students.teachers import load_teacher
from soft_students.versions import versions

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
SEEDS = (0, 1, 2)
GRID = tuple(itertools.product((1.0, 2.0, 4.0), (0.0, 0.1)))
CNN = {"module": "small_cnn", "learning_rate": 0.01, "validation_fraction": 0.0}


def measure(learn: Any, test: Any, teacher: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return accuracy and agreement at every pair of the grid; `learn` draws a seed's rows."""
    X_test, y_test = test
    said = teacher.predict(X_test)
    rows = []
    for (temperature, hard_weight), seed in itertools.product(GRID, SEEDS):
        X, y = learn(seed)
        student = NeuralStudentClassifier(
            temperature=temperature,
            hard_weight=hard_weight,
            random_state=seed,
            n_jobs=1,
            **settings,
        ).fit(X, teacher, labels=y)
        predicted = student.predict(X_test)
        rows.append(
            {
                "temperature": temperature,
                "hard_weight": hard_weight,
                "seed": seed,
                "accuracy": float(np.mean(predicted == y_test)),
                "agreement": float(np.mean(predicted == said)),
            }
        )
        print(rows[-1], flush=True)
    return rows


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure all three teachers."""
    X, y = load_digits(return_X_y=True)
    halves = train_test_split(X / 16, y, test_size=0.5, random_state=0, stratify=y)
    X, X_test, y, y_test = halves
    found = {}
    for name, teacher in (
        ("digits, network", MLPClassifier((256,), max_iter=400, random_state=0)),
        ("digits, forest", RandomForestClassifier(200, random_state=0)),
    ):
        teacher.fit(X, y)
        found[name] = measure(lambda _: (X, y), (X_test, y_test), teacher, {})
    data = load_dataset("mnist", data_dir=args.data_dir)

    def images(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.random.RandomState(1000 + seed).permutation(len(data.X_train))[:1000]
        return data.X_train[rows], data.y_train[rows]

    test = data.X_test, data.y_test
    found["1,000 MNIST images, network"] = measure(images, test, load_teacher(args.teacher), CNN)
    return {"rows": found, "versions": versions()}


def table(results: dict[str, Any]) -> str:
    """Return what the figures are, and mean accuracy with its deviation, as Markdown."""
    lines = []
    for name, rows in results["rows"].items():
        cells = []
        for pair in GRID:
            of = [
                row["accuracy"] for row in rows if (row["temperature"], row["hard_weight"]) == pair
            ]
            cells.append(markdown.mean_sd(of, 2, scale=100))
        lines.append([name, *cells])
    headings = ["data, teacher", *(f"{t:g}, {a:g}" for t, a in GRID)]
    return (
        "Test accuracy in percent by temperature and hard weight, mean ± sd over three seeds "
        "(`benchmarks/neural_temperature.py`):\n\n" + markdown.table(headings, lines)
    )


def main() -> None:
    """Read the arguments, measure, and put the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--teacher", type=Path, default=Path("teachers/mnist.pt"))
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=here / "results" / "neural_temperature.json")
    args = parser.parse_args()
    results = run(args)
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    markdown.put_into(PAGE, "temperature", table(results))


if __name__ == "__main__":
    main()
