"""Does a distilled network know more of its images? Visual concepts over the training.

    softkd teach --data mnist --arch cnn --out teachers/mnist.pt
    python benchmarks/quantify_knowledge.py --teacher teachers/mnist.pt

`small_cnn` students learn from 2,000 training images of MNIST for 10 epochs, from labels alone and
from the teacher's soft targets, three seeds each, which draw other images and weights. Concepts are
looked for at the last feature maps, in 40 test images, at the untrained network and after each
epoch. Nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markdown import put_into

from soft_students import NeuralStudentClassifier, load
from soft_students.datasets import load_dataset
from soft_students.explain import save_picture
from soft_students.knowledge import plot_entropies, quantify_knowledge
from soft_students.persistence import atomic_write
from soft_students.teachers import load_teacher

PAGE = Path(__file__).parents[1] / "docs" / "quantify.md"
SEEDS = (0, 1, 2)
N_TRAIN, N_IMAGES, EPOCHS, STEPS = 2000, 40, 10, 100


def run(data: Any, teacher: Any, seed: int, picture: Path | None) -> dict[str, dict[str, Any]]:
    """Train both students of a seed and quantify them."""
    rows = np.random.RandomState(1000 + seed).permutation(len(data.X_train))[:N_TRAIN]
    X, y = data.X_train[rows], data.y_train[rows]
    images = data.X_test[:N_IMAGES]
    found = {}
    for name in ("labels", "kd"):
        with tempfile.TemporaryDirectory() as folder:
            student = NeuralStudentClassifier(
                "small_cnn",
                temperature=4.0,
                hard_weight=0.1,
                epochs=EPOCHS,
                learning_rate=0.01,
                validation_fraction=0.0,
                snapshots=Path(folder) / "snapshots",
                random_state=seed,
            )
            student = student.fit(X, y) if name == "labels" else student.fit(X, teacher, labels=y)
            paths = sorted((Path(folder) / "snapshots").iterdir())
            checkpoints = [load(path) for path in paths]
        known = quantify_knowledge(checkpoints, images, n_steps=STEPS, random_state=seed)
        found[name] = {
            "metrics": asdict(known.metrics),
            "table": known.table,
            "discarded": known.discarded,
            "accuracy": float(np.mean(student.predict(data.X_test) == data.y_test)),
        }
        if picture is not None and name == "kd":
            save_picture(plot_entropies(known, images, most_images=4), picture)
    return found


def summary(results: dict[str, Any]) -> str:
    """Return mean and spread over seeds as Markdown."""
    lines = ["| student | accuracy | N_fg | N_bg | lambda | D_mean | D_std | rho |"]
    lines.append("|---|" + "---:|" * 7)
    for name in ("labels", "kd"):
        runs = [results["runs"][str(seed)][name] for seed in SEEDS]
        figures = [
            [100 * run["accuracy"] for run in runs],
            [run["table"][-1]["n_foreground"] for run in runs],
            [run["table"][-1]["n_background"] for run in runs],
            *([run["metrics"][m] for run in runs] for m in ("lambda_", "d_mean", "d_std", "rho")),
        ]
        cells = [f"{np.mean(f):.3g} ± {np.std(f, ddof=1):.2g}" for f in figures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, put the table into docs/quantify.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--teacher", type=Path, default=Path("teachers/mnist.pt"))
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=here / "results" / "quantify_knowledge.json")
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"runs": {}}
    if args.out.exists():
        results = json.loads(args.out.read_text())
    data = teacher = None
    for seed in SEEDS:
        if str(seed) not in results["runs"]:
            data = data or load_dataset("mnist", data_dir=args.data_dir)
            teacher = teacher or load_teacher(args.teacher)
            picture = args.picture if seed == 0 else None
            results["runs"][str(seed)] = run(data, teacher, seed, picture)
            with atomic_write(args.out) as file:
                file.write(json.dumps(results, indent=1).encode())
    put_into(PAGE, "quantify", summary(results))


if __name__ == "__main__":
    main()
