r"""How the settings of the MNIST study were chosen: accuracy on held-out training images.

Each variant is the tree of the study with one thing changed, trained on 54,000 of the 60,000
training images and their distorted copies, which the teacher labels, and measured on the other
6,000. The test set has no part in it. (The teacher may have seen the 6,000; the tree has not.)

    softkd teach --data mnist --arch cnn --out teacher.pt
    python benchmarks/mnist_soft_tree_selection.py --teacher teacher.pt \
        --out benchmarks/results/mnist_soft_tree_selection.json

Variants that the folder --work already holds are not run again.
"""

from __future__ import annotations

import copy
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from joblib import Memory
from rich.console import Console
from rich.table import Table

from soft_students import SoftDecisionTreeClassifier
from soft_students.datasets import load_dataset, validation_split
from soft_students.persistence.plain_json import write_json
from soft_students.studies.mnist_soft_tree import DISTORTED
from soft_students.studies.parts import Part, run_parts
from soft_students.teachers import as_teacher, load_teacher
from soft_students.transfer import ImageDistortion

#: What differs from the settings of the study; "distortion" multiplies the limits of the defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "as in the study": {},
    "no focusing": {"focusing": 0.0},
    "focusing 2": {"focusing": 2.0},
    "T 2": {"temperature": 2.0},
    "T 5": {"temperature": 5.0},
    "weight decay 0.01": {"weight_decay": 0.01},
    "weight decay 0.1": {"weight_decay": 0.1},
    "weight decay 0.2": {"weight_decay": 0.2},
    "penalty 0.03": {"penalty": 0.03},
    "penalty 0.3": {"penalty": 0.3},
    "a tenth leaf loss": {"mixture_weight": 0.9},
    "no sharpening": {"sharpening": 1.0},
    "sharpening 8": {"sharpening": 8.0},
    "neither": {"focusing": 0.0, "sharpening": 1.0},
    "gates annealed to 2": {"beta_schedule": "annealed", "beta_final": 2.0},
    "no weight averaging": {"weight_averaging": 0.0},
    "batches of 256": {"batch_size": 256, "learning_rate": 0.005},
    "60 epochs": {"epochs": 60},
    "240 epochs": {"epochs": 240},
    "4 copies": {"transfer_copies": 4},
    "distortions x 0.8": {"distortion": 0.8},
    "distortions x 1.5": {"distortion": 1.5},
    "pixels standardised": {"standardize": True},
}
LIMITS = ("rotation", "scale", "shear", "shift", "elastic")


def teach(teacher_file: str, X: np.ndarray) -> np.ndarray:
    """Return the teacher's logits."""
    return load_teacher(teacher_file).logits(X)


def measure(
    teacher_file: str, data_dir: str | None, work: Path, path: Path, part: Part
) -> dict[str, Any]:
    """Train one variant; return its accuracies on the images held out."""
    data = load_dataset("mnist", data_dir=data_dir)
    X, held_out, y, labels = validation_split(data.X_train, data.y_train, random_state=0)
    # Variants with the same distortions ask for the same images.
    ask = partial(Memory(work / "cache", verbose=0).cache(teach), teacher_file)
    teacher = as_teacher(ask, kind="logits", classes=data.classes)
    settings = {
        **DISTORTED,
        "temperature": 3.0,
        "standardize": False,
        "transfer_copies": 9,
        "epochs": 120,
        **part["settings"],
    }
    factor = settings.pop("distortion", 1.0)
    defaults = ImageDistortion().get_params()
    student = SoftDecisionTreeClassifier(
        8,
        random_state=part["seed"],
        n_jobs=1,
        transfer=ImageDistortion((28, 28), **{name: factor * defaults[name] for name in LIMITS}),
        **settings,
    )
    start = time.perf_counter()
    student.fit(X, teacher)
    seconds = time.perf_counter() - start
    measured: dict[str, Any] = {"seconds": seconds}
    for name, rows, true in (("validation", held_out, labels), ("training", X, y)):
        measured[name] = {
            prediction: float(
                copy.copy(student).set_params(prediction=prediction).score(rows, true)
            )
            for prediction in ("expectation", "greatest_path", "greedy")
        }
    return measured


@click.command()
@click.option("--teacher", required=True, type=click.Path(exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--work", type=click.Path(path_type=Path), default=Path("softkd-mnist-selection"))
@click.option("--data-dir")
@click.option("--jobs", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--only", multiple=True, help="Variants to run [default: all].")
def main(
    teacher: str,
    out: Path,
    work: Path,
    data_dir: str | None,
    jobs: int,
    seed: int,
    only: tuple[str, ...],
) -> None:
    """Run the variants and write their accuracies."""
    work.mkdir(parents=True, exist_ok=True)
    names = {
        work / f"{name.replace(' ', '-')}-seed-{seed}.json": name for name in (only or VARIANTS)
    }
    parts = [(path, {"settings": VARIANTS[name], "seed": seed}) for path, name in names.items()]
    run = partial(measure, teacher, data_dir, work)
    results = {}
    for path, result in run_parts(parts, run, n_jobs=jobs):
        results[names[path]] = {"settings": VARIANTS[names[path]], **result}
        click.echo(f"{names[path]}: {result['validation']}", err=True)
    write_json(out, {"seed": seed, "variants": {name: results[name] for name in names.values()}})
    table = Table("variant", "expectation", "greatest path", "greedy", "training")
    for name in names.values():
        row = results[name]
        table.add_row(
            name,
            *(f"{value:.2%}" for value in row["validation"].values()),
            f"{row['training']['expectation']:.2%}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
