"""Whether the features that an explanation names most important are those that matter.

Of each of 100 test rows the k features first in an order are deleted: they take the values that
they have in a training row drawn at random, one row for all k, so that they keep what binds them to
each other. Each row is so changed ten times, by the same ten training rows whatever the order. The
figure is the mean size of the change: of the probability of the class that was predicted, or of a
predicted value in deviations of the student's predictions. Three orders:

- explained: by `student.explain(x).importances()`, row by row;
- global: one order for all rows, by scikit-learn's `permutation_importance` on 300 training rows,
  with the same figure as its score;
- random: another one for each row.

What is level in an order is put at random. The students learn from a network on half of the rows;
nothing is chosen. Each seed splits the rows anew, and trains another network and other students.

Install ``soft-students[lightgbm]``. Run, on one thread, in about a minute:

    OMP_NUM_THREADS=1 python benchmarks/faithfulness.py

``--table`` puts the table into docs/explain.md.
"""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import sklearn
from markdown import mean_sd, put_into, table
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students.persistence.plain_json import write_json
from soft_students.students import available

RESULTS = Path(__file__).parent / "results" / "faithfulness.json"
PAGE = Path(__file__).parents[1] / "docs" / "explain.md"

DATA: dict[str, Callable[..., Any]] = {
    "digits": load_digits,
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
    "diabetes": load_diabetes,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "soft_tree": {"depth": 4, "n_jobs": 1},
    "tree": {"max_depth": 6, "min_samples_leaf": 5},
    "xgboost": {"n_estimators": 50, "max_depth": 4, "n_jobs": 1},
    "lightgbm": {"n_estimators": 50, "max_depth": 4, "n_jobs": 1},
    "hist": {"max_iter": 50, "max_depth": 4},
    "forest": {"n_estimators": 50, "min_samples_leaf": 3},
    "logistic": {},
}
ORDERS = ("explained", "global", "random")
SHOWN = (1, 4)  # features deleted, of the table
_ROWS, _DONORS, _RANKED, _REPEATS = 100, 10, 300, 3


def counts(n_features: int) -> list[int]:
    """Return how many features are deleted: 1, 2, 4, ..., not all of them."""
    return [2**i for i in range(10) if 2**i < n_features]


class Answers:
    """What is compared: the probability of the class that each row had at first, or its value."""

    def __init__(self, student: Any, X: np.ndarray) -> None:
        self._student = student
        self._classes = hasattr(student, "predict_proba")
        self._unit = 1.0 if self._classes else float(np.std(student.predict(X)))

    def changes(self, X: np.ndarray, changed: np.ndarray) -> np.ndarray:
        """Return the size of the change from each row to each of its changed ones, (n, m)."""
        flat = changed.reshape(-1, X.shape[1])
        if self._classes:
            before, after = self._student.predict_proba(X), self._student.predict_proba(flat)
            after = after.reshape(*changed.shape[:2], -1)
            place = before.argmax(axis=1)
            rows = np.arange(len(X))
            return np.abs(after[rows, :, place] - before[rows, place][:, None])
        after = self._student.predict(flat).reshape(changed.shape[:2])
        return np.abs(after - self._student.predict(X)[:, None]) / self._unit


def ranked(importances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the features of each row, the most important first, ties at random."""
    return np.lexsort((rng.random(importances.shape), -importances), axis=1)


def global_importances(student: Any, answers: Answers, X: np.ndarray, seed: int) -> np.ndarray:
    def kept(_: Any, changed: np.ndarray, original: np.ndarray) -> float:
        return -float(answers.changes(original, changed[:, None]).mean())

    # The score takes the rows as they were in the place of targets.
    found = permutation_importance(
        student, X, X, scoring=kept, n_repeats=_REPEATS, random_state=seed
    )
    return found.importances_mean


def deletion_curves(
    student: Any, X_train: np.ndarray, X: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """Return, for each order, the mean change by the number of features deleted."""
    rng = np.random.default_rng(seed)
    answers = Answers(student, X_train)
    donors = X_train[rng.integers(len(X_train), size=(len(X), _DONORS))]
    whole = global_importances(student, answers, X_train[:_RANKED], seed)
    orders = {
        "explained": ranked(np.stack([student.explain(x).importances() for x in X]), rng),
        "global": ranked(np.tile(whole, (len(X), 1)), rng),
        "random": ranked(np.zeros(X.shape), rng),
    }
    curves: dict[str, list[float]] = {}
    for name, order in orders.items():
        places = np.argsort(order, axis=1)
        curves[name] = [
            round(
                float(
                    answers.changes(X, np.where((places < k)[:, None], donors, X[:, None])).mean()
                ),
                5,
            )
            for k in counts(X.shape[1])
        ]
    return curves


def measure(data: str, seed: int, students: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Train the students of one network, and delete features of its test rows."""
    X, y = DATA[data](return_X_y=True)
    values = data == "diabetes"
    X_train, X_test, y_train, _ = train_test_split(
        X, y, test_size=0.5, random_state=seed, stratify=None if values else y
    )
    network = (MLPRegressor if values else MLPClassifier)(
        hidden_layer_sizes=(32,), max_iter=300, learning_rate_init=0.01, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        teacher = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
    found = {}
    for name in students:
        entry = available()[name]
        cls = entry.regressor if values else entry.classifier
        student = cls(random_state=seed, **SETTINGS[name]).fit(X_train, teacher)
        found[name] = deletion_curves(student, X_train, X_test[:_ROWS], seed)
    return found


def tables(results: list[dict[str, Any]]) -> str:
    """Return one table: a line for each data set and student."""
    lines = []
    for data in DATA:
        for student in SETTINGS:
            cell = next(
                (row for row in results if (row["data"], row["student"]) == (data, student)), None
            )
            if cell is None:
                continue
            line = [f"{data}: {student}"]
            for k in SHOWN:
                place = cell["deleted"].index(k)
                line += [mean_sd([curve[place] for curve in cell[o]], 3) for o in ORDERS]
            lines.append(line)
    headings = [f"{order}, {k}" for k in SHOWN for order in ORDERS]
    return table(["", *headings], lines)


@click.command()
@click.option("--data", "names", multiple=True, type=click.Choice(list(DATA)), default=list(DATA))
@click.option("--students", default=",".join(SETTINGS), show_default=True)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--out", default=RESULTS, show_default="benchmarks/results/faithfulness.json")
@click.option("--table", "only_table", is_flag=True, help="Put the table into docs/explain.md.")
def main(
    names: tuple[str, ...], students: str, seeds: int, out: str | Path, only_table: bool
) -> None:
    """Measure, or show what was measured."""
    if only_table:
        put_into(PAGE, "faithfulness", tables(json.loads(Path(out).read_text())["results"]))
        return
    start = time.process_time()
    results = []
    chosen = tuple(students.split(","))
    for data in names:
        runs = [measure(data, seed, chosen) for seed in range(seeds)]
        for student in chosen:
            curves = {order: [run[student][order] for run in runs] for order in ORDERS}
            n_features = DATA[data](return_X_y=True)[0].shape[1]
            results.append(
                {"data": data, "student": student, "deleted": counts(n_features), **curves}
            )
        click.echo(f"{data}: {time.process_time() - start:.0f} s", err=True)
    write_json(
        Path(out),
        {
            "seeds": seeds,
            "rows": _ROWS,
            "replacements": _DONORS,
            "settings": SETTINGS,
            "python": platform.python_version(),
            "scikit-learn": sklearn.__version__,
            "cpu_seconds": round(time.process_time() - start, 1),
            "results": results,
        },
    )
    click.echo(tables(results))


if __name__ == "__main__":
    main()
