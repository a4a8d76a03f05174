"""The soft-tree study on MNIST: labels or a teacher, original or distorted images.

Frosst and Hinton (2017) report 94.45 % for a tree of depth 8 trained on labels, and 96.76 % for one
distilled from a network with 99.21 %. Each row of the table is one kind of training at one depth,
run with several seeds. Settings were chosen on images held out of the training set
(``docs/mnist.md``); each tree is measured once on the test set, after its training.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from soft_students.datasets import Dataset, load_dataset
from soft_students.evaluation import bundle_bytes
from soft_students.persistence import atomic_write
from soft_students.persistence.atomic import remove_leftovers
from soft_students.persistence.plain_json import write_json
from soft_students.students import SoftDecisionTreeClassifier
from soft_students.students.files import save
from soft_students.studies.parts import Part, read_part, run_parts
from soft_students.studies.table import markdown_table, summarize
from soft_students.teachers import (
    Teacher,
    load_teacher,
    save_teacher,
    train_teacher,
)
from soft_students.teachers.checkpoint import record_test_accuracy
from soft_students.transfer import ImageDistortion

#: Settings of trees on the original images, which overfit when trained for longer.
SAME_IMAGES: dict[str, Any] = {
    "mixture_weight": 1.0,
    "batch_size": 512,
    "learning_rate": 0.007,
    "weight_decay": 0.1,
    "weight_averaging": 0.999,
    "epochs": 30,
}

#: Settings of the paper: the loss of the leaves, a learned β, plain Adam.
PAPER: dict[str, Any] = {
    "mixture_weight": 0.0,
    "beta_schedule": "learned",
    "learning_rate": 0.003,
    "weight_decay": 0.0,
    "epochs": 40,
}

#: Settings of trees on distorted images.
DISTORTED: dict[str, Any] = {
    "mixture_weight": 1.0,
    "focusing": 1.0,
    "sharpening": 4.0,
    "batch_size": 512,
    "learning_rate": 0.007,
    "weight_decay": 0.03,
    "weight_averaging": 0.999,
}

_PREDICTIONS = ("expectation", "greatest_path", "greedy")


@dataclass(frozen=True)
class Row:
    """One kind of training at one depth.

    Parameters
    ----------
    depth : int
    trained_on : str
        Description for the table.
    temperature : float or None
        Temperature of the teacher's targets; None trains on the labels.
    settings : dict
        Further constructor parameters of `SoftDecisionTreeClassifier`, plain values.
    copies : int
        Distorted copies of each image; 0 trains on the original images.
    """

    depth: int
    trained_on: str
    temperature: float | None
    settings: Mapping[str, Any]
    copies: int = 0

    @property
    def name(self) -> str:
        """Prefix of the names of the row's files."""
        words = self.trained_on.replace(",", "").replace(" ", "-")
        at = "" if self.temperature is None else f"-at-{self.temperature:g}"
        return f"depth-{self.depth}-{words}{at}"

    def student(self, seed: int) -> SoftDecisionTreeClassifier:
        """Return the untrained tree of one seed."""
        return SoftDecisionTreeClassifier(
            self.depth,
            temperature=1.0 if self.temperature is None else self.temperature,
            transfer=ImageDistortion((28, 28)) if self.copies else None,
            transfer_copies=max(1, self.copies),
            standardize=False,
            random_state=seed,
            n_jobs=1,
            **self.settings,
        )


@dataclass(frozen=True)
class StudyPlan:
    """The trainings of a study.

    Parameters
    ----------
    rows : list of Row
    teacher_epochs : int or None
        None: those of the recipe.
    train_rows, test_rows : int or None
        Number of images, from the beginning of each set; None: all.
    """

    rows: list[Row]
    teacher_epochs: int | None = None
    train_rows: int | None = None
    test_rows: int | None = None


def soft_tree_plan() -> StudyPlan:
    """Return the full study: depths 4 to 10, labels and teacher, original and distorted images.

    Returns
    -------
    StudyPlan
    """
    rows = [
        Row(8, "labels, as in the paper", None, PAPER),
        Row(8, "teacher, as in the paper", 2.0, PAPER),
        Row(8, "labels, leaf loss", None, {**SAME_IMAGES, "mixture_weight": 0.0}),
        Row(8, "teacher, leaf loss", 2.0, {**SAME_IMAGES, "mixture_weight": 0.0}),
    ]
    for depth in (4, 6, 8, 10):
        rows.append(Row(depth, "labels", None, SAME_IMAGES))
        for temperature in (1.0, 2.0, 3.0, 5.0) if depth == 8 else (3.0,):
            rows.append(Row(depth, "teacher", temperature, SAME_IMAGES))
        # An epoch of the deepest tree takes four times as long.
        settings = {**DISTORTED, "epochs": 60 if depth == 10 else 120}
        if depth == 8:
            rows.append(Row(depth, "labels, distorted images", None, settings, copies=9))
        rows.append(Row(depth, "teacher, distorted images", 3.0, settings, copies=9))
    return StudyPlan(rows)


def quick_plan() -> StudyPlan:
    """Return a small study that checks within two minutes that everything works.

    Returns
    -------
    StudyPlan
    """
    settings = {
        "mixture_weight": 1.0,
        "batch_size": 256,
        "weight_averaging": 0.99,
        "weight_decay": 0.03,
        "epochs": 20,
    }
    rows = []
    for depth in (4, 6):
        rows += [
            Row(depth, "labels", None, settings),
            Row(depth, "teacher", 3.0, settings),
            Row(depth, "teacher, distorted images", 3.0, settings, copies=3),
        ]
    return StudyPlan(rows, teacher_epochs=4, train_rows=6000, test_rows=2000)


def run_study(
    folder: Path,
    plan: StudyPlan,
    *,
    seeds: int = 3,
    n_jobs: int = 1,
    data_dir: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    on_part: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Train the teacher and all trees, measure them, and write the results.

    An interrupted study continues from the files in the folder. It writes ``teacher.pt``,
    ``parts/`` (the result of each tree, and the tree of the first seed), ``results.json``, and the
    table ``results.md``.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    plan : StudyPlan
    seeds : int, default=3
        Number of trees per row, with the seeds 0, 1, ...
    n_jobs : int, default=1
        Number of trees trained at once, with one thread each; also the threads of the teacher.
    data_dir : path or None, default=None
        As for `soft_students.datasets.load_dataset`.
    about : dict, default=None
        Further entries of the results, plain values, for example versions.
    on_part : callable
        Called after each tree with the number of finished trees, the number of all trees, and a
        line of text with the result.

    Returns
    -------
    dict
        Content of ``results.json``: ``teacher``, ``rows``, ``seeds``, ``train_rows``,
        ``test_rows``.

    Raises
    ------
    ValueError
        If the folder contains parts of another study.
    OSError
        If MNIST cannot be loaded, or files cannot be written.
    """
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    named: dict[Path, tuple[Row, int]] = {
        folder / "parts" / f"{row.name}-seed-{seed}.json": (row, seed)
        for seed in range(seeds)
        for row in plan.rows
    }
    work = {path: _part(plan, row, seed) for path, (row, seed) in named.items()}
    for path, part in work.items():  # raise for a bad part before hours of training
        read_part(path, part)
    teacher = _teacher(folder, plan, n_jobs, data_dir)
    results: dict[Path, dict[str, Any]] = {}
    run = partial(_train, plan, named, folder / "teacher.pt", data_dir)
    for path, result in run_parts(work.items(), run, n_jobs=n_jobs):
        results[path] = result
        row, seed = named[path]
        on_part(
            len(results),
            len(named),
            f"depth {row.depth}, {row.trained_on}, seed {seed}: "
            f"{result['accuracy_expectation']:.2%} in {result['seconds']:.0f} s",
        )
    study = {
        "teacher": teacher,
        "seeds": seeds,
        "train_rows": plan.train_rows or 60_000,
        "test_rows": plan.test_rows or 10_000,
        "rows": [
            _summary(row, [results[path] for path, (owner, _) in named.items() if owner is row])
            for row in plan.rows
        ],
        **(about or {}),
    }
    with atomic_write(folder / "results.md") as file:
        file.write(markdown_table(study["rows"]).encode())
    write_json(folder / "results.json", study)
    return study


def tree_file(folder: Path, row: Row) -> Path:
    """Return the file of the tree of a row's first seed."""
    return folder / "parts" / f"{row.name}-seed-0.student"


def _part(plan: StudyPlan, row: Row, seed: int) -> Part:
    rows = {"train_rows": plan.train_rows, "test_rows": plan.test_rows}
    return {**asdict(row), **rows, "teacher_epochs": plan.teacher_epochs, "seed": seed}


def study_data(plan: StudyPlan, data_dir: str | Path | None) -> Dataset:
    """Load the images of a plan."""
    data = load_dataset("mnist", data_dir=data_dir)
    return replace(
        data,
        X_train=data.X_train[: plan.train_rows],
        y_train=data.y_train[: plan.train_rows],
        X_test=data.X_test[: plan.test_rows],
        y_test=data.y_test[: plan.test_rows],
    )


def _teacher(
    folder: Path, plan: StudyPlan, n_jobs: int, data_dir: str | Path | None
) -> dict[str, Any]:
    """Train and save the teacher, unless its file exists; return its results."""
    about = {
        "epochs": plan.teacher_epochs,
        "train_rows": plan.train_rows,
        "test_rows": plan.test_rows,
    }
    path, result = folder / "teacher.pt", folder / "parts" / "teacher.json"
    known = read_part(result, about)
    if known is not None and path.exists():
        return known
    data = study_data(plan, data_dir)
    start = time.perf_counter()
    teacher = train_teacher(
        data.X_train,
        data.y_train,
        arch="cnn",
        input_shape=data.image_shape,
        augment=ImageDistortion(data.image_shape),
        epochs=plan.teacher_epochs,
        random_state=0,
        n_jobs=n_jobs,
        verbose=1,
        data={"name": "mnist", "data": "mnist"},
    )
    seconds = time.perf_counter() - start
    known = {
        "accuracy": record_test_accuracy(teacher, data.X_test, data.y_test),
        "accuracy_validation": None
        if teacher.record is None
        else teacher.record.accuracy.get("validation"),
        "seconds": seconds,
        "threads": n_jobs,
    }
    save_teacher(teacher, path)
    write_json(result, {"part": about, "result": known})
    return known


def _train(
    plan: StudyPlan,
    named: Mapping[Path, tuple[Row, int]],
    teacher_file: Path,
    data_dir: str | Path | None,
    path: Path,
    part: Part,
) -> dict[str, Any]:
    """Train and measure one tree, in a separate process."""
    row, seed = named[path]
    data, teacher = study_data(plan, data_dir), load_teacher(teacher_file)
    start = time.perf_counter()
    target = data.y_train if row.temperature is None else teacher
    student = row.student(seed).fit(data.X_train, target)
    seconds = time.perf_counter() - start
    if seed == 0:
        save(student, path.with_suffix(".student"), data={"name": "mnist", "data": "mnist"})
    return _measure(student, teacher, data) | {"seconds": seconds}


def _measure(
    student: SoftDecisionTreeClassifier, teacher: Teacher, data: Dataset
) -> dict[str, Any]:
    predicted = {
        prediction: copy.copy(student).set_params(prediction=prediction).predict(data.X_test)
        for prediction in _PREDICTIONS
    }
    taught = teacher.predict(data.X_test)
    measured = {
        f"accuracy_{name}": float(np.mean(labels == data.y_test))
        for name, labels in predicted.items()
    }
    return measured | {
        "agreement": float(np.mean(predicted["expectation"] == taught)),
        "agreement_greatest_path": float(np.mean(predicted["greatest_path"] == taught)),
        "bytes": bundle_bytes(student),
        "parameters": student.gate_weights_.size
        + student.gate_biases_.size
        + student.leaf_logits_.size,
    }


def _summary(row: Row, results: list[dict[str, Any]]) -> dict[str, Any]:
    measures = (
        *(f"accuracy_{name}" for name in _PREDICTIONS),
        "agreement",
        "agreement_greatest_path",
        "seconds",
    )
    return {
        "depth": row.depth,
        "trained_on": row.trained_on,
        "temperature": row.temperature,
        "epochs": row.settings["epochs"],
        **{name: summarize([result[name] for result in results]) for name in measures},
        "bytes": results[0]["bytes"],
        "parameters": results[0]["parameters"],
        "copies": row.copies,
        "settings": dict(row.settings),
    }
