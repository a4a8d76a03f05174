"""What soft targets cost a neural student, and what keeping the teacher's answers saves.

    python benchmarks/neural_student_cost.py --teacher teachers/mnist.pt --data-dir FOLDER

`small_cnn` on 2,000 images of MNIST, 5 epochs, on one thread; a whole `fit` each time, by processor
time. All trainings of a round follow each other, and rounds are repeated: ratios are of one round,
their median is reported. The teacher's own answers are part of every training that has them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from soft_students import NeuralStudentClassifier
from soft_students.datasets import load_dataset
from soft_students.persistence import atomic_write
from soft_students.teachers import load_teacher
from soft_students.transfer import ImageDistortion

N_TRAIN, EPOCHS = 2000, 5


def student(method: str, **more: Any) -> NeuralStudentClassifier:
    """Return the untrained student."""
    return NeuralStudentClassifier(
        "small_cnn",
        method=method,
        temperature=4.0,
        hard_weight=0.1,
        epochs=EPOCHS,
        validation_fraction=0.0,
        random_state=0,
        n_jobs=1,
        **more,
    )


def main() -> None:
    """Time every training, repeatedly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--teacher", type=Path, default=Path("teachers/mnist.pt"))
    parser.add_argument("--data-dir")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=here / "results" / "neural_student_cost.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset("mnist", data_dir=args.data_dir)
    X, y = data.X_train[:N_TRAIN], data.y_train[:N_TRAIN]
    teacher = load_teacher(args.teacher)
    said = teacher.predict_proba(X)
    distortion = ImageDistortion(image_shape=(28, 28))
    trainings = {
        "labels": lambda: student("kd").fit(X, y),
        "kd, teacher's answers at hand": lambda: student("kd").fit(X, said, labels=y),
        "kd": lambda: student("kd").fit(X, teacher, labels=y),
        "at,kd": lambda: student("at,kd").fit(X, teacher, labels=y),
        "at,kd, features not kept": lambda: student("at,kd", teacher_cache=0).fit(
            X, teacher, labels=y
        ),
        "labels, distorted": lambda: student("kd", augment=distortion).fit(X, y),
        "kd, distorted": lambda: student("kd", augment=distortion).fit(X, teacher, labels=y),
    }
    seconds: dict[str, list[float]] = {name: [] for name in trainings}
    for round_ in range(args.rounds + 1):
        for name, fit in trainings.items():
            start = time.process_time()
            fit()
            if round_:  # the first warms up
                seconds[name].append(time.process_time() - start)
    base = seconds["labels"]
    ratios = {
        name: median(a / b for a, b in zip(values, base, strict=True))
        for name, values in seconds.items()
    }
    with atomic_write(args.out) as file:
        result = {"seconds": seconds, "median_ratio_to_labels": ratios}
        file.write(json.dumps(result, indent=1).encode())
    for name, ratio in ratios.items():
        print(f"{name:32s} {median(seconds[name]):6.2f} s  {ratio:.2f} x labels")


if __name__ == "__main__":
    main()
