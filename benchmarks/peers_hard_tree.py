"""One hard tree of limited depth for a given teacher, beside the peers trustee and imodels.

The teacher is given: all get the same fitted model, the same training rows and the same depth, and
are measured on the same held-out rows by fidelity: agreement with the teacher's classes and, where
probabilities or values are taught, R² of them. Time is CPU time of `fit`, the teacher's answers
included. The peers run as their documentation has it:

- trustee: `ClassificationTrustee(expert).fit(X, y, max_depth=...)` with the settings of its README
  (10 rounds of 50 trees, each from 30 % of the rows) and, as that starves small sets, with its
  default of 5 rounds on all rows. Its own default is to draw 2,000 rows, which raises an error
  where there are fewer, as here. The unpruned tree of
  `explain()`, and the one pruned to the ten largest branches.
- imodels: `HSTreeClassifierCV`, hierarchical shrinkage chosen by cross-validation, on the teacher's
  classes; where there are two classes, and for values, `DistilledRegressor`, which is imodels' own
  distillation, with `HSTreeRegressor`. It fits the teacher again: `FrozenEstimator` prevents that.
- scikit-learn's tree on the teacher's classes, as a floor.

Install: ``pip install trustee imodels`` and what real_data.py says. Run, on one thread:

    OMP_NUM_THREADS=1 python benchmarks/peers_hard_tree.py

``--table`` then puts the tables into docs/classical_students.md.
"""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from imodels import DistilledRegressor, HSTreeClassifierCV, HSTreeRegressor
from markdown import mean_sd, put_into, table
from real_data import load, split
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from trustee import ClassificationTrustee, RegressionTrustee
from xgboost import XGBClassifier, XGBRegressor

from soft_students import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor
from soft_students.persistence.plain_json import write_json

RESULTS = Path(__file__).parent / "results" / "peers_hard_tree.json"
PAGE = Path(__file__).parents[1] / "docs" / "classical_students.md"
CLASSIFICATION = ("digits", "late_flights", "diamonds", "breast_cancer")
REGRESSION = ("diamonds_price",)
DEPTHS = (4, 8)
MOST_ROWS = 2_000
_TRUSTEE = {
    "trustee, README": {"num_stability_iter": 10, "samples_size": 0.3},
    "trustee, all rows": {"samples_size": 1.0},
}
_TEACHER = {"n_estimators": 300, "learning_rate": 0.05, "subsample": 0.8, "n_jobs": 1}

#: By the end of its name: a scikit-learn tree, and how it answers.
Fitted = dict[str, tuple[Any, Callable[[np.ndarray], np.ndarray]]]


def classification_rows(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, labels and test rows."""
    rows = load("flights" if name == "late_flights" else name)
    parts = split(rows, seed, n_train=min(rows.n_train, MOST_ROWS))
    y = parts.y >= 2 if name == "late_flights" else parts.y
    return parts.X, y.astype(int), parts.X_test


def regression_rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, the logarithm of the price and test rows of diamonds."""
    rows = load("diamonds")
    X = rows.X.assign(cut=rows.y)
    y = np.log(X.pop("price").to_numpy(dtype=float))
    X["color"], X["clarity"] = X["color"].cat.codes, X["clarity"].cat.codes
    parts = train_test_split(
        X.to_numpy(dtype=float), y, train_size=MOST_ROWS, test_size=10_000, random_state=seed
    )
    return parts[0], parts[2], parts[1]


def classifiers(
    teacher: XGBClassifier, X: np.ndarray, y: np.ndarray, depth: int, seed: int
) -> Iterator[tuple[str, Callable[[], Fitted]]]:
    """Yield each contestant: its name, and what fits it and returns how to ask it."""
    grown = {"max_depth": depth, "random_state": seed}

    def ours(temperature: float) -> Fitted:
        student = DecisionTreeStudentClassifier(temperature=temperature, **grown)
        student.fit(X, teacher)
        return {"": (student.estimator_, student.predict_proba)}

    def trustee(settings: dict[str, Any]) -> Fitted:
        peer = ClassificationTrustee(expert=teacher)
        peer.fit(X, y, max_depth=depth, **settings)
        whole, pruned, *_ = peer.explain()
        return {"": (whole, whole.predict), ", pruned": (pruned, pruned.predict)}

    def shrunk() -> Fitted:
        peer = HSTreeClassifierCV(DecisionTreeClassifier(**grown)).fit(X, teacher.predict(X))
        return {"": (peer.estimator_, peer.predict)}

    def distilled() -> Fitted:
        student = HSTreeRegressor(DecisionTreeRegressor(**grown))
        peer = DistilledRegressor(FrozenEstimator(teacher), student).fit(X, y)

        def answer(rows: np.ndarray) -> np.ndarray:
            return np.column_stack([1 - peer.predict(rows), peer.predict(rows)])

        return {"": (student.estimator_, answer)}

    def floor() -> Fitted:
        tree = DecisionTreeClassifier(**grown).fit(X, teacher.predict(X))
        return {"": (tree, tree.predict)}

    yield "soft-students, T = 1", lambda: ours(1.0)
    yield "soft-students, T = 0.5", lambda: ours(0.5)
    for name, settings in _TRUSTEE.items():
        yield name, partial(trustee, settings)
    yield "imodels HSTreeClassifierCV", shrunk
    if len(teacher.classes_) == 2:
        yield "imodels DistilledRegressor", distilled
    yield "scikit-learn, argmax", floor


def regressors(
    teacher: XGBRegressor, X: np.ndarray, y: np.ndarray, depth: int, seed: int
) -> Iterator[tuple[str, Callable[[], Fitted]]]:
    grown = {"max_depth": depth, "random_state": seed}

    def ours() -> Fitted:
        student = DecisionTreeStudentRegressor(**grown).fit(X, teacher)
        return {"": (student.estimator_, student.predict)}

    def trustee(settings: dict[str, Any]) -> Fitted:
        peer = RegressionTrustee(expert=teacher)
        peer.fit(X, y, max_depth=depth, **settings)
        whole, pruned, *_ = peer.explain()
        return {"": (whole, whole.predict), ", pruned": (pruned, pruned.predict)}

    def distilled() -> Fitted:
        student = HSTreeRegressor(DecisionTreeRegressor(**grown))
        peer = DistilledRegressor(FrozenEstimator(teacher), student).fit(X, y)
        return {"": (student.estimator_, peer.predict)}

    yield "soft-students", ours
    for name, settings in _TRUSTEE.items():
        yield name, partial(trustee, settings)
    yield "imodels DistilledRegressor", distilled


def fidelity(answer: np.ndarray, teacher: Any, X_test: np.ndarray) -> dict[str, float]:
    if isinstance(teacher, XGBRegressor):
        return {"r2": float(r2_score(teacher.predict(X_test), answer))}
    said = teacher.predict_proba(X_test)
    if answer.ndim == 1:
        return {"agreement": float(np.mean(answer == said.argmax(axis=1)))}
    return {
        "agreement": float(np.mean(answer.argmax(axis=1) == said.argmax(axis=1))),
        "r2": float(r2_score(said, answer)),
    }


def run(name: str, depth: int, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the figures of each contestant."""
    values = name in REGRESSION
    X, y, X_test = regression_rows(seed) if values else classification_rows(name, seed)
    settings = {**_TEACHER, "random_state": seed}
    teacher = XGBRegressor(**settings) if values else XGBClassifier(**settings)
    teacher.fit(X, y)
    np.random.seed(seed)  # noqa: NPY002  trustee takes no other
    contestants = (regressors if values else classifiers)(teacher, X, y, depth, seed)
    for who, fit in contestants:
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the peers, about scikit-learn
            fitted = fit()
        seconds = time.process_time() - start
        for suffix, (tree, ask) in fitted.items():
            figures = fidelity(np.asarray(ask(X_test)), teacher, X_test)
            figures |= {"depth": int(tree.get_depth()), "leaves": int(tree.get_n_leaves())}
            yield who + suffix, {**figures, "cpu_seconds": seconds}


def write_page(page: Path, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        agreement, r2 = row.get("agreement"), row.get("r2")
        lines.append(
            [
                row["data"],
                str(row["max_depth"]),
                row["contestant"],
                mean_sd(agreement, 2, 100) if agreement else "",
                mean_sd(r2, 3) if r2 else "",
                mean_sd(row["leaves"], 0),
                mean_sd(row["cpu_seconds"], 3),
            ]
        )
    headings = ["data", "depth", "tree", "agreement %", "R²", "leaves", "CPU seconds"]
    put_into(page, "peers", table(headings, lines))


@click.command()
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", "names", multiple=True, type=click.Choice(CLASSIFICATION + REGRESSION))
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--table", "only_table", is_flag=True, help="Run nothing; put the table into docs.")
def main(seeds: int, names: tuple[str, ...], out: Path, only_table: bool) -> None:
    """Run all contestants and write their figures."""
    if only_table:
        write_page(PAGE, json.loads(out.read_text())["rows"])
        return
    found: dict[tuple[str, int, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for name in names or REGRESSION + CLASSIFICATION:
        for depth in DEPTHS:
            for seed in range(seeds):
                for who, figures in run(name, depth, seed):
                    for measure, value in figures.items():
                        found[name, depth, who][measure].append(round(value, 5))
                    click.echo(f"{name} {depth} {seed} {who}: {figures}", err=True)
        packages = ("numpy", "scikit-learn", "xgboost", "trustee", "imodels")
        environment = {"python": platform.python_version()}
        environment |= {package: version(package) for package in packages}
        rows = [
            {"data": data, "max_depth": depth, "contestant": who, **figures}
            for (data, depth, who), figures in found.items()
        ]
        write_json(out, {"environment": environment, "teacher": _TEACHER, "rows": rows})


if __name__ == "__main__":
    main()
