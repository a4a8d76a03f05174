"""Which further rows help a student: unlabelled ones, or ones that a transfer set makes.

There are 1,000 labelled rows; teacher and student learn from these. The teacher then labels 4,000
further rows for the student: real ones, whose labels nobody knows, or those that a transfer set
of the package makes from the 1,000, with its default parameters. Everything is at temperature one
and nothing is chosen. Rows are made with each category in one column; students see them one-hot.

Install: what real_data.py says. Run, on one thread:

    OMP_NUM_THREADS=1 python benchmarks/transfer_sets.py

``--table`` then puts the tables into docs/classical_students.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from bagged_teachers import fit_bag
from classical_students import PAGE, SETTINGS, figures_of, make, probabilities
from markdown import mean_sd, put_into, table
from real_data import Table, load, make_encoder
from sklearn.model_selection import train_test_split

from soft_students.persistence.plain_json import write_json
from soft_students.teachers import as_teacher
from soft_students.transfer import GaussianNoise, MarginalResample, Mixup, Munge

RESULTS = Path(__file__).parent / "results" / "transfer_sets.json"
DATA = ("diamonds", "flights", "fashion_mnist")
STUDENTS = ("soft_tree", "xgboost", "tree", "forest", "logistic", "knn")
MADE = {
    "Munge": Munge(),
    "MarginalResample": MarginalResample(),
    # By default it leaves whole numbers as they are, which in flights are all numbers.
    "GaussianNoise": GaussianNoise(discrete=None),
    "Mixup": Mixup(),
}
TRAININGS = ("labels", "teacher", "+ unlabelled", *(f"+ {name}" for name in MADE))
N_LABELLED, N_COPIES = 1_000, 4


def further_rows(
    data: Table, rows: pd.DataFrame, rest: pd.DataFrame, seed: int
) -> dict[str, pd.DataFrame]:
    """Return the rows that the teacher shall label, by the name of the training."""
    categorical = np.array([isinstance(dtype, pd.CategoricalDtype) for dtype in rows.dtypes])
    coded = np.column_stack(
        [
            rows[name].cat.codes if codes else rows[name]
            for name, codes in zip(rows, categorical, strict=True)
        ]
    ).astype(float)
    found = {"+ unlabelled": rest[: N_COPIES * len(rows)]}
    for name, transfer in MADE.items():
        rng = np.random.RandomState(seed)
        made = np.concatenate(
            [transfer.sample(coded, rng, categorical=categorical) for _ in range(N_COPIES)]
        )
        columns = {}
        for column, values in zip(rows, made.T, strict=True):
            levels = rows[column].dtype
            if isinstance(levels, pd.CategoricalDtype):
                columns[column] = pd.Categorical.from_codes(values.astype(int), dtype=levels)
            else:
                columns[column] = values
        found[f"+ {name}"] = pd.DataFrame(columns)
    return found


def run(name: str, seed: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield the student, what it learnt from and its figures on the test rows."""
    data = load(name)
    rows, X_test, y, y_test = train_test_split(
        data.X, data.y, test_size=5_000, random_state=seed, stratify=data.y
    )
    rows, rest, y, _ = train_test_split(
        rows, y, train_size=N_LABELLED, random_state=seed, stratify=y
    )
    encoder = make_encoder(data).fit(rows)

    def encode(columns: pd.DataFrame) -> np.ndarray:
        return encoder.transform(columns).astype(np.float32)

    X, X_test = encode(rows), encode(X_test)
    bag, _ = fit_bag(name, X, y, data.image_shape, seed)
    said, n_classes = bag(X_test), int(data.y.max()) + 1
    yield "", "teacher", figures_of(y_test, said, said)
    teacher = as_teacher(bag, kind="probabilities", classes=np.arange(n_classes))
    further = {
        training: encode(columns)
        for training, columns in further_rows(data, rows, rest, seed).items()
    }
    for student in STUDENTS:
        for training in TRAININGS:
            fitted = make(student, seed)
            if training == "labels":
                fitted.fit(X, y)
            else:
                fitted.fit(X, teacher, X_unlabeled=further.get(training))
            proba = probabilities(fitted, X_test, n_classes)
            yield student, training, figures_of(y_test, proba, said)


def write_page(page: Path, rows: list[dict[str, Any]]) -> None:
    found = {(row["data"], row["student"], row["training"]): row for row in rows}
    agreement, loss = [], []
    for data, student in dict.fromkeys((data, student) for data, student, _ in found if student):
        trained = [found[data, student, training] for training in TRAININGS]
        name = f"{data}, `{student}`"
        agreement.append([name, *(mean_sd(row["agreement"], 2, 100) for row in trained)])
        loss.append([name, *(mean_sd(row["log_loss"], 3) for row in trained)])
    heading = ["data, student", *TRAININGS]
    put_into(
        page,
        "transfer sets",
        f"Agreement with the teacher, %:\n\n{table(heading, agreement)}\n\n"
        f"Log-loss against the true labels:\n\n{table(heading, loss)}",
    )


@click.command()
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", "names", multiple=True, type=click.Choice(DATA), help="[default: all]")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--table", "only_table", is_flag=True, help="Run nothing; put the tables into docs.")
def main(seeds: int, names: tuple[str, ...], out: Path, only_table: bool) -> None:
    """Run all trainings and write their figures."""
    if only_table:
        write_page(PAGE, json.loads(out.read_text())["rows"])
        return
    found: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for name in names or DATA:
        for seed in range(seeds):
            for student, training, figures in run(name, seed):
                for measure, value in figures.items():
                    found[name, student, training][measure].append(value)
                click.echo(f"{name} {seed} {student} {training}: {figures}", err=True)
        rows = [
            {"data": data, "student": student, "training": training, **figures}
            for (data, student, training), figures in found.items()
        ]
        settings = {student: SETTINGS.get(student, {}) for student in STUDENTS}
        write_json(out, {"settings": settings, "rows": rows})


if __name__ == "__main__":
    main()
