"""Every classical student on soft targets, on the teacher's argmax and on labels alone.

Five trainings of each student with the same parameters on the same rows:

- labels;
- argmax: the class that the teacher finds likeliest;
- soft: the teacher's probabilities, with ``temperature="auto"``: of 0.5, 1, 2 and 4 the one with
  the least log-loss on true labels in a fifth of the training rows;
- argmax and soft, out of fold: each row's target comes from that of the teacher's five models
  which has not seen the row (`cross_fit=5` in `DistilledClassifier`).

The teacher (bagged_teachers.py) learnt from the same rows. Each seed draws other rows, trains
another teacher and seeds the student. The test rows are used once, at the end. CPU time is that of
`fit`, the choice of the temperature included.

Install: what real_data.py says, and ``soft-students[lightgbm]``. Run, on one thread:

    OMP_NUM_THREADS=1 python benchmarks/classical_students.py --data-dir FOLDER_OF_MNIST

Finished cells (data, student, seed) are kept in ``--work`` and not done again. ``--table`` then
puts the tables into docs/classical_students.md.
"""

from __future__ import annotations

import json
import platform
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import sklearn
import xgboost
from bagged_teachers import MEMBERS, cached_targets
from markdown import mean_sd, put_into, table
from real_data import NAMES, Split, load, split
from sklearn.metrics import accuracy_score, log_loss

from soft_students.evaluation import agreement, align_classes, kl_to_teacher
from soft_students.persistence.plain_json import write_json
from soft_students.students import available
from soft_students.studies.parts import Part, read_part, run_parts

RESULTS = Path(__file__).parent / "results" / "classical_students.json"
PAGE = Path(__file__).parents[1] / "docs" / "classical_students.md"

#: As people ship them; what is not named is the student's default. None is chosen on test data.
SETTINGS: dict[str, dict[str, Any]] = {
    "soft_tree": {"depth": 5, "n_jobs": 1},
    "xgboost": {"n_estimators": 100, "max_depth": 4, "n_jobs": 1},
    "lightgbm": {"n_estimators": 100, "max_depth": 4, "n_jobs": 1},
    "hist": {"max_iter": 100, "max_depth": 4},
    "tree": {"max_depth": 6, "min_samples_leaf": 5},
    "forest": {"n_estimators": 100, "min_samples_leaf": 3},
    "extra_trees": {"n_estimators": 100, "min_samples_leaf": 3},
    "knn": {"n_neighbors": 15},
}
#: Training takes the square of the rows, or worse: all trainings get the first so many.
MOST_ROWS = {"svm": 1_000}
#: A network has pages of its own.
STUDENTS = tuple(name for name in available() if name != "neural")
TRAININGS = ("labels", "argmax", "soft", "argmax, out of fold", "soft, out of fold")
_TIE = 2e-5  # figures are kept to five digits: below that, means of equal values may differ
MEASURES = ("log_loss", "accuracy", "agreement", "kl_to_teacher", "brier", "cpu_seconds")


def make(student: str, seed: int, temperature: float | str = 1.0) -> Any:
    """Return an unfitted student."""
    made = available()[student].classifier(**SETTINGS.get(student, {}))
    params = made.get_params(deep=False)
    if "random_state" in params:
        made.set_params(random_state=seed)
    return made.set_params(temperature=temperature)


def probabilities(student: Any, X: np.ndarray, n_classes: int) -> np.ndarray:
    proba = np.asarray(student.predict_proba(X), dtype=np.float64)
    proba = align_classes(proba, student.classes_, to=np.arange(n_classes))
    return proba / proba.sum(axis=1, keepdims=True)


def measure(data_dir: str | None, work: Path, path: Path, part: Part) -> dict[str, Any]:
    """Train one student five times on one draw of one data set."""
    name, student, seed = part["data"], part["student"], part["seed"]
    rows = _split(name, data_dir, seed)
    taught = cached_targets(work / "teachers", name, rows, seed)
    n = MOST_ROWS.get(student, len(rows.X))
    X, y, n_classes = rows.X[:n], rows.y[:n], taught["test"].shape[1]
    result: dict[str, Any] = {"teacher": figures_of(rows.y_test, taught["test"], taught["test"])}
    for training in TRAININGS:
        kind = "out_of_fold" if training.endswith("out of fold") else "in_sample"
        soft = taught[kind][:n]
        start = time.process_time()
        if training == "labels":
            fitted = make(student, seed).fit(X, y)
        elif training.startswith("argmax"):
            # One-hot, so that a class that is never likeliest keeps its column.
            fitted = make(student, seed).fit(X, np.eye(n_classes)[soft.argmax(axis=1)])
        else:
            fitted = make(student, seed, "auto").fit(X, soft, labels=y)
        seconds = time.process_time() - start
        proba = probabilities(fitted, rows.X_test, n_classes)
        result[training] = {
            **figures_of(rows.y_test, proba, taught["test"]),
            "cpu_seconds": round(seconds, 3),
            "temperature": float(fitted.temperature_),
        }
    return result


_last: dict[tuple[str, int], Split] = {}


def _split(name: str, data_dir: str | None, seed: int) -> Split:
    """Keep the last rows: the students of one data set come one after the other."""
    if (name, seed) not in _last:
        _last.clear()
        _last[name, seed] = split(load(name, data_dir), seed)
    return _last[name, seed]


def figures_of(y: np.ndarray, proba: np.ndarray, teacher: np.ndarray) -> dict[str, float]:
    labels = np.arange(proba.shape[1])
    figures = {
        "log_loss": log_loss(y, proba, labels=labels),
        "accuracy": accuracy_score(y, proba.argmax(axis=1)),
        "agreement": agreement(proba, teacher),
        "kl_to_teacher": kl_to_teacher(proba, teacher),
        "brier": np.square(proba - np.eye(len(labels))[y]).sum(axis=1).mean(),
    }
    return {name: round(float(value), 5) for name, value in figures.items()}


def collect(finished: dict[tuple[str, str, int], dict[str, Any]]) -> dict[str, Any]:
    """Return one row for each data set, student and training, with the values of all seeds."""
    rows: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for (data, student, seed), result in sorted(finished.items()):
        for training, figures in result.items():
            who = "" if training == "teacher" else student
            row = rows[data, who, training]
            if seed in row["seeds"]:
                continue  # the teacher is the same for all students
            row["seeds"].append(seed)
            for name, value in figures.items():
                row[name].append(value)
    return {
        "environment": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "xgboost": xgboost.__version__,
        },
        "settings": SETTINGS,
        "most_rows": MOST_ROWS,
        "teachers": MEMBERS,
        "rows": [
            {"data": data, "student": student, "training": training, **figures}
            for (data, student, training), figures in rows.items()
        ],
    }


def counts(rows: list[dict[str, Any]]) -> str:
    """Return the table that says on how many data sets the mean over seeds is better."""
    means: dict[tuple[str, str], dict[str, dict[str, float]]] = defaultdict(dict)
    for row in rows:
        if row["student"]:
            means[row["student"], row["data"]][row["training"]] = {
                name: float(np.mean(row[name])) for name in MEASURES
            }
    lines = []
    for student in dict.fromkeys(student for student, _ in means):
        sets = [trainings for (who, _), trainings in means.items() if who == student]
        cells = []
        for soft, argmax in (TRAININGS[2:0:-1], TRAININGS[4:2:-1]):
            loss = [m["labels"]["log_loss"] - m[soft]["log_loss"] > _TIE for m in sets]
            agreed = [m[soft]["agreement"] - m[argmax]["agreement"] > _TIE for m in sets]
            brier = [m["labels"]["brier"] - m[soft]["brier"] > _TIE for m in sets]
            both = [lower and higher for lower, higher in zip(loss, agreed, strict=True)]
            cells += [f"{sum(held)}/{len(sets)}" for held in (loss, agreed, both, brier)]
        lines.append([f"`{student}`", *cells])
    one = ("log-loss < labels", "agreement > argmax", "both", "Brier < labels")
    headings = [*(f"soft: {name}" for name in one), *(f"soft, oof: {name}" for name in one)]
    return table(["student", *headings], lines)


def details(rows: list[dict[str, Any]], data: str) -> str:
    """Return the log-loss, accuracy and agreement of one data set."""
    found = {(row["student"], row["training"]): row for row in rows if row["data"] == data}
    teacher = found["", "teacher"]
    text = (
        f"**{data}**: teacher ({' + '.join(MEMBERS[data])}) log-loss "
        f"{mean_sd(teacher['log_loss'], 3)}, accuracy {mean_sd(teacher['accuracy'], 2, 100)} %\n\n"
    )
    short = [training.replace("out of fold", "oof") for training in TRAININGS]
    lines = []
    for student in dict.fromkeys(student for student, _ in found if student):
        trained = [found[student, training] for training in TRAININGS]
        lines.append(
            [
                f"`{student}`",
                *(mean_sd(row["log_loss"], 3) for row in trained),
                *(mean_sd(row["agreement"], 2, 100) for row in trained),
                *(mean_sd(row["accuracy"], 2, 100) for row in (trained[0], trained[2], trained[4])),
            ]
        )
    headings = [
        "student",
        *(f"log-loss: {name}" for name in short),
        *(f"agreement %: {name}" for name in short),
        *(f"accuracy %: {short[i]}" for i in (0, 2, 4)),
    ]
    return text + table(headings, lines)


def write_page(page: Path, rows: list[dict[str, Any]]) -> None:
    put_into(page, "classical students: counts", counts(rows))
    sets = [data for data in NAMES if any(row["data"] == data for row in rows)]
    put_into(page, "classical students: data", "\n\n".join(details(rows, data) for data in sets))


@click.command()
@click.option("--data", "names", multiple=True, type=click.Choice(NAMES), help="[default: all]")
@click.option("--student", "students", multiple=True, help="[default: all but neural]")
@click.option("--seeds", default=3, show_default=True)
@click.option("--data-dir", help="Folder of MNIST's files.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("softkd-classical-students"))
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--jobs", default=1, show_default=True)
@click.option("--collect", "only_collect", is_flag=True, help="Run nothing; gather what there is.")
@click.option("--table", "only_table", is_flag=True, help="Run nothing; put the tables into docs.")
def main(
    names: tuple[str, ...],
    students: tuple[str, ...],
    seeds: int,
    data_dir: str | None,
    work: Path,
    out: Path,
    jobs: int,
    only_collect: bool,
    only_table: bool,
) -> None:
    """Run what is not yet done, and write all results."""
    if only_table:
        write_page(PAGE, json.loads(out.read_text())["rows"])
        return
    work.mkdir(parents=True, exist_ok=True)
    keys = {
        work / f"{data}-{student}-{seed}.json": (data, student, seed)
        for data in names or NAMES
        for seed in range(seeds)
        for student in students or STUDENTS
    }
    parts = [
        (
            path,
            {"data": data, "student": student, "seed": seed, "set": SETTINGS.get(student, {})},
        )
        for path, (data, student, seed) in keys.items()
    ]
    if only_collect:
        kept = {path: read_part(path, part) for path, part in parts}
        finished = {keys[path]: result for path, result in kept.items() if result is not None}
    else:
        finished = {}
        for path, result in run_parts(parts, partial(measure, data_dir, work), n_jobs=jobs):
            finished[keys[path]] = result
            click.echo(f"{path.stem}: {result['labels']} {result['soft']}", err=True)
    write_json(out, collect(finished))


if __name__ == "__main__":
    main()
