"""Every method of neural students on a small part of MNIST and Fashion-MNIST.

Teachers first, a few minutes each::

    softkd teach --data mnist --arch cnn --out teachers/mnist.pt
    python benchmarks/methods_table.py --out benchmarks/results/methods_table.json --fashion-teacher

    python benchmarks/methods_table.py --out benchmarks/results/methods_table.json
    python benchmarks/methods_table.py --out benchmarks/results/methods_table.json --table

The student (`small_cnn`, seven thousand weights) is trained on 1,000 training images, for the same
number of epochs by each method: on labels alone, on soft targets alone, by each method with the
labels as in its paper, and by each method with soft targets beside it. Each row has three seeds,
which draw other images, other weights and other batches. The last epoch is kept: no row has seen a
validation image. Weights that differ from the paper's are in `SETTINGS` and were chosen by
`--select`, which trains on one other draw of images and measures on 5,000 further *training*
images. The test images are used once, for the table. `dafl`, which has neither labels nor rows,
takes 960 batches of 128 made-up images, without real ones.

The run can be stopped and started again; it goes on with the rows that are missing.
`--methods at,rkd` runs some; `--jobs 2` runs two at once, each on one thread. `--table` puts the
table into docs/methods_results.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from markdown import put_into

from soft_students import NeuralStudentClassifier
from soft_students.datasets import load_dataset
from soft_students.methods import available
from soft_students.persistence import atomic_write
from soft_students.teachers import load_teacher, save_teacher, train_teacher
from soft_students.versions import versions

PAGE = Path(__file__).parents[1] / "docs" / "methods_results.md"
DATA = ("mnist", "fashion_mnist")
SEEDS = (0, 1, 2)
N_TRAIN = 1000
N_SELECT = 5000
EPOCHS = 30

#: Parameters of the student where it learns by soft targets, too.
SOFT_TARGETS = {"temperature": 4.0, "hard_weight": 0.1}

#: What differs from a method's defaults here, chosen by --select.
SETTINGS: dict[str, dict[str, Any]] = {"at": {"weight": 10.0}, "nst": {"weight": 0.5}}

#: Methods that are logit losses with soft targets in them: soft targets beside them say it twice.
HOLD_SOFT_TARGETS = {"kd", "dkd", "dist", "logit_std", "ttm", "wttm", "bss"}
#: Methods of no data cannot have soft targets of rows beside them. They train for `STEPS` batches
#: of 128 made-up inputs.
WITHOUT_DATA = {"dafl"}
STEPS = 960
#: Rows more, by a name of their own: the method and settings that are not its defaults.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "dafl, batch-norm statistics": ("dafl", {"dafl.statistics_weight": 1.0}),
}


def combinations() -> list[str]:
    """Return the rows of the table: methods with commas between them; "" is labels alone."""
    rows = ["", "kd"]
    for key in available():
        if key != "kd":
            rows.append(key)
            if key not in HOLD_SOFT_TARGETS | WITHOUT_DATA:
                rows.append(f"{key},kd")
    return [*rows, *VARIANTS]


def methods_of(combination: str) -> str:
    """Return the methods of a row, with commas between them."""
    return VARIANTS[combination][0] if combination in VARIANTS else combination


def make_student(combination: str, seed: int, settings: dict[str, Any]) -> NeuralStudentClassifier:
    """Return the untrained student of a row."""
    methods = methods_of(combination)
    made_up = methods in WITHOUT_DATA
    soft = SOFT_TARGETS if "kd" in methods.split(",") else {}
    return NeuralStudentClassifier(
        "small_cnn",
        method=methods or "kd",
        method_params=settings or None,
        epochs=STEPS // 120 if made_up else EPOCHS,
        batch_size=128 if made_up else 64,
        learning_rate=0.01,
        validation_fraction=0.0,
        random_state=seed,
        n_jobs=1,
        **soft,
    )


def settings_of(combination: str) -> dict[str, Any]:
    """Return the settings of a row, by method and parameter."""
    if combination in VARIANTS:
        return VARIANTS[combination][1]
    return {
        f"{key}.{name}": value
        for key in combination.split(",")
        for name, value in SETTINGS.get(key, {}).items()
    }


def run_one(
    data: Any, teacher: Any, combination: str, seed: int, settings: dict[str, Any], select: bool
) -> dict[str, Any]:
    """Train one student; measure it on the test images, or for `--select` on training images."""
    torch.set_num_threads(1)
    order = np.random.RandomState(1000 + seed).permutation(len(data.X_train))
    rows = order[:N_TRAIN]
    X, y = data.X_train[rows], data.y_train[rows]
    if select:
        judged = order[N_TRAIN : N_TRAIN + N_SELECT]
        X_judged, y_judged = data.X_train[judged], data.y_train[judged]
    else:
        X_judged, y_judged = data.X_test, data.y_test
    student = make_student(combination, seed, settings)
    start = time.process_time()
    if methods_of(combination) in WITHOUT_DATA:
        student.fit(None, teacher)
    elif combination == "":
        student.fit(X, y)
    else:
        student.fit(X, teacher, labels=y)
    seconds = time.process_time() - start
    predicted = student.predict(X_judged)
    said = teacher.predict(X_judged)
    return {
        "accuracy": float(np.mean(predicted == y_judged)),
        "agreement": float(np.mean(predicted == said)),
        "seconds": seconds,
        "last_epoch": {k: v for k, v in student.history_[-1].items() if k != "seconds"},
    }


def read(path: Path) -> dict[str, Any]:
    """Return the results so far."""
    if path.exists():
        return json.loads(path.read_text())
    return {"rows": {}, "selection": {}, "teachers": {}}


def write(path: Path, results: dict[str, Any]) -> None:
    """Write the results, whole or not at all."""
    with atomic_write(path) as file:
        file.write(json.dumps(results, indent=1).encode())


def run(args: argparse.Namespace) -> None:
    """Train what is missing."""
    results = read(args.out)
    results["setting"] = {"images": N_TRAIN, "epochs": EPOCHS, "student": "small_cnn"}
    results["versions"] = versions()
    wanted = None if args.methods is None else set(args.methods.split(","))
    for name in args.data.split(","):
        data = load_dataset(name, data_dir=args.data_dir.get(name))
        teacher = load_teacher(args.teachers / f"{name}.pt")
        if name not in results["teachers"]:
            accuracy = float(np.mean(teacher.predict(data.X_test) == data.y_test))
            results["teachers"][name] = accuracy
        jobs = []
        for combination in combinations():
            named = set((methods_of(combination) or "labels").split(","))
            if wanted is not None and not wanted & named:
                continue
            for seed in SEEDS:
                key = f"{name}/{combination or 'labels'}/{seed}"
                settings = settings_of(combination)
                known = results["rows"].get(key)
                if known is None or known["settings"] != settings:
                    jobs.append((key, combination, seed, settings))
        parallel = Parallel(n_jobs=args.jobs, return_as="generator_unordered")
        tasks = (
            delayed(_named)(key, data, teacher, combination, seed, settings, False)
            for key, combination, seed, settings in jobs
        )
        for key, settings, row in parallel(tasks):
            results["rows"][key] = {**row, "settings": settings}
            write(args.out, results)
            print(key, {k: row.get(k) for k in ("accuracy", "seconds", "error")}, flush=True)


def select(args: argparse.Namespace) -> None:
    """Try other weights of methods that have one, on training images of no row of the table."""
    results = read(args.out)
    name = "mnist"
    data = load_dataset(name, data_dir=args.data_dir.get(name))
    teacher = load_teacher(args.teachers / f"{name}.pt")
    jobs = []
    for method, cls in available().items():
        if args.methods is not None and method not in args.methods.split(","):
            continue
        weights = {
            p: v
            for p, v in cls().get_params(deep=False).items()
            if (p == "weight" or p.endswith("_weight")) and p != "hard_weight" and v
        }
        if not weights or method in WITHOUT_DATA:
            continue
        for factor in (1.0, 0.1, 0.01, 0.001):
            settings = {f"{method}.{p}": v * factor for p, v in weights.items()}
            key = f"{name}/{method}/{factor}"
            if key not in results["selection"]:
                jobs.append((key, method, 7, settings))
    parallel = Parallel(n_jobs=args.jobs, return_as="generator_unordered")
    tasks = (
        delayed(_named)(key, data, teacher, method, seed, settings, True)
        for key, method, seed, settings in jobs
    )
    for key, settings, row in parallel(tasks):
        results["selection"][key] = {**row, "settings": settings}
        write(args.out, results)
        print(key, settings, row.get("accuracy"), row.get("error"), flush=True)


def fashion_teacher(args: argparse.Namespace) -> None:
    """Train the teacher of Fashion-MNIST: a ResNet of three stages, on undistorted images."""
    path = args.teachers / "fashion_mnist.pt"
    if path.exists():
        return
    data = load_dataset("fashion_mnist", data_dir=args.data_dir["fashion_mnist"])
    teacher = train_teacher(
        data.X_train,
        data.y_train,
        arch="resnet",
        config={"channels": [32, 64, 128]},
        epochs=12,
        random_state=0,
        n_jobs=1,
        data={"name": "fashion_mnist"},
    )
    args.teachers.mkdir(parents=True, exist_ok=True)
    save_teacher(teacher, path)


def _named(
    key: str, data: Any, teacher: Any, combination: str, seed: int, settings: Any, sel: bool
):
    try:
        return key, settings, run_one(data, teacher, combination, seed, settings, sel)
    except (ValueError, FloatingPointError) as error:  # shown in the table, not lost with the rest
        return key, settings, {"error": str(error)}


def table(path: Path) -> str:
    """Return the results as Markdown."""
    results = read(path)
    lines = [
        "| method | settings | " + " | ".join(f"{name} | s" for name in DATA) + " |",
        "|---|---|" + "---:|---:|" * len(DATA),
    ]
    for combination in combinations():
        cells = []
        for name in DATA:
            keys = [f"{name}/{combination or 'labels'}/{seed}" for seed in SEEDS]
            found = [results["rows"][key] for key in keys if key in results["rows"]]
            good = [100 * row["accuracy"] for row in found if "accuracy" in row]
            if len(good) == len(SEEDS):
                cells.append(f"{np.mean(good):.2f} ± {np.std(good, ddof=1):.2f}")
                cells.append(f"{np.mean([row['seconds'] for row in found]):.0f}")
            else:
                cells += ["cannot" if any("error" in row for row in found) else "", ""]
        chosen = ", ".join(f"{k}={v:g}" for k, v in settings_of(combination).items())
        title = combination or "labels alone"
        title = title if combination in VARIANTS else title.replace(",", " + ")
        lines.append(f"| {title} | {chosen} | " + " | ".join(cells) + " |")
    teachers = ", ".join(f"{n} {a:.2%}" for n, a in results["teachers"].items())
    return "\n".join([*lines, "", f"Teachers: {teachers}."])


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", type=Path, default=Path("teachers"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--mnist-dir")
    parser.add_argument("--fashion-mnist-dir")
    parser.add_argument("--methods")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--select", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--fashion-teacher", action="store_true")
    args = parser.parse_args()
    args.data_dir = {"mnist": args.mnist_dir, "fashion_mnist": args.fashion_mnist_dir}
    if args.table:
        put_into(PAGE, "methods", table(args.out))
    elif args.fashion_teacher:
        fashion_teacher(args)
    elif args.select:
        select(args)
    else:
        run(args)


if __name__ == "__main__":
    main()
