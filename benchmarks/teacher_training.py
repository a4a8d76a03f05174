"""Accuracy of the teachers that `softkd teach` trains, and whether two versions train the same.

    python benchmarks/teacher_training.py --label "shared loop" --mnist-dir FOLDER

Digits with all settings of `softkd teach`; MNIST and Fashion-MNIST with the first 10,000 training
images and 4 epochs. Three seeds, one thread. Each run adds its results under its label; teachers of
two labels with the same fingerprint give the same logits for all test rows, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soft_students.datasets import Dataset, load_dataset
from soft_students.persistence import atomic_write
from soft_students.teachers import train_teacher
from soft_students.transfer import ImageDistortion

#: Data set, network, training rows and epochs; None takes all, and those of `softkd teach`.
TEACHERS = (
    ("digits", "cnn", None, None),
    ("digits", "mlp", None, None),
    ("mnist", "cnn", 10_000, 4),
    ("fashion_mnist", "cnn", 10_000, 4),
)
SEEDS = (0, 1, 2)


def train(
    data: Dataset, arch: str, n_rows: int | None, epochs: int | None, seed: int
) -> dict[str, Any]:
    """Train one teacher and measure it on the test rows."""
    started = time.process_time()
    teacher = train_teacher(
        data.X_train[:n_rows],
        data.y_train[:n_rows],
        arch=arch,
        input_shape=data.image_shape,
        augment=ImageDistortion(data.image_shape),
        epochs=epochs,
        random_state=seed,
        n_jobs=1,
    )
    seconds = time.process_time() - started
    logits = np.ascontiguousarray(teacher.logits(data.X_test))
    return {
        "seed": seed,
        "validation": teacher.record.accuracy["validation"],
        "test": float(np.mean(teacher.classes_[logits.argmax(axis=1)] == data.y_test)),
        "seconds": round(seconds, 1),
        "fingerprint": hashlib.sha256(logits.tobytes()).hexdigest()[:16],
    }


def main() -> None:
    """Train all teachers and add the results to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--label", required=True, help="What is measured, for the file.")
    parser.add_argument("--mnist-dir")
    parser.add_argument("--fashion-mnist-dir")
    parser.add_argument("--out", type=Path, default=here / "results" / "teacher_training.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folders = {"mnist": args.mnist_dir, "fashion_mnist": args.fashion_mnist_dir}
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    found = results.setdefault(args.label, {})
    for name, arch, n_rows, epochs in TEACHERS:
        data = load_dataset(name, data_dir=folders.get(name))
        key = f"{name} {arch}"
        found[key] = [train(data, arch, n_rows, epochs, seed) for seed in SEEDS]
        print(args.label, key, *(f"{each['test']:.2%}" for each in found[key]), flush=True)
        with atomic_write(args.out) as file:
            file.write(json.dumps(results, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
