"""Which rows of a table are test rows: those that no model was trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from sklearn.model_selection import train_test_split

from soft_students.datasets import Dataset, available_datasets
from soft_students.datasets.splitting import part_size, stratify_on
from soft_students.datasets.tabular import TEST_SIZE, split_rows, take_rows
from soft_students.datasets.trained_rows import TrainedRows, table_digest

if TYPE_CHECKING:
    from softkd.reading import Source


def training_rows(
    whole: Dataset, source: Source, records: Sequence[Mapping[str, Any]]
) -> tuple[Dataset, bool]:
    """Cut test rows off a table, none of which a teacher was trained on.

    Parameters
    ----------
    whole : Dataset
        All rows of a file as training rows, unless it has test rows already.
    source : Source
    records : sequence of dict
        What the files of the teachers record of their data.

    Returns
    -------
    dataset : Dataset
    split : bool
        Whether the test rows are those that `load_dataset` cuts off, or those of the file itself.
    """
    if source.test_data is not None:
        _say_overlap(whole, source, _known(records))
        return whole, False
    if whole.train_rows is None:
        return whole, True
    dataset, known = split_rows(whole), _known(records)
    seen = _seen(whole, known)
    if not seen[dataset.test_rows].any():
        return dataset, True
    unseen = np.flatnonzero(~seen)
    n_test = part_size(len(seen), TEST_SIZE, "part of test rows")
    _say(source, records, seen, f"{min(n_test, len(unseen))} others are the test rows")
    if not len(unseen):
        raise click.ClickException(
            f"The teacher was trained on all rows of '{source.data}', and none is left to test on. "
            "Name a file of other rows: --test-data."
        )
    test = unseen
    if n_test < len(unseen):
        strata = stratify_on(whole.y_train[unseen], n_test)
        _, test = train_test_split(unseen, test_size=n_test, random_state=0, stratify=strata)
    return take_rows(whole, np.setdiff1d(np.arange(len(seen)), test), test), False


def measured_rows(
    whole: Dataset, source: Source, records: Sequence[Mapping[str, Any]], every: bool = False
) -> Dataset:
    """Return data whose test rows are all those that no model was trained on.

    Parameters
    ----------
    whole : Dataset
        All rows of a file as training rows, unless it has test rows already.
    source : Source
    records : sequence of dict
        What the files of the models record of their data.
    every : bool, default=False
        Whether rows that were trained on are test rows, too.
    """
    known = _known(records)
    if source.test_data is not None:
        _say_overlap(whole, source, known)
        return whole
    if whole.train_rows is None:
        if every:
            raise click.UsageError(
                f"--all-rows is for tables; {whole.name!r} has a test set of its own."
            )
        return whole if source.data in available_datasets() else _own_test_rows(whole, known)
    rows = np.arange(len(whole.X_train))
    if every:
        return take_rows(whole, rows[:0], rows)
    if not known and not any(record.get("data") in available_datasets() for record in records):
        dataset = split_rows(whole)
        click.echo(
            "The model's file does not record the rows that it was trained on. Measured are "
            f"{len(dataset.X_test)} of the {len(rows)} rows of '{source.data}', the quarter on "
            "which softkd does not train; --all-rows measures all.",
            err=True,
        )
        return dataset
    seen = _seen(whole, known)
    if len(rows) > 1:
        dataset = split_rows(whole)
        if not seen[dataset.test_rows].any() and np.sum(~seen) == len(dataset.X_test):
            return dataset
    _say(source, records, seen, f"{np.sum(~seen)} others are measured")
    if seen.all():
        raise click.ClickException(
            f"All rows of '{source.data}' were trained on. Name a file of other rows: --data."
        )
    return take_rows(whole, rows[seen], rows[~seen])


def _own_test_rows(data: Dataset, known: Sequence[TrainedRows]) -> Dataset:
    """Return data that have test rows of their own without those that were trained on."""
    seen = np.zeros(len(data.X_test), dtype=bool)
    for rows in known:
        if rows.table != table_digest(data):
            seen |= rows.seen(data.X_test)
    if not seen.any():
        return data
    click.echo(
        f"{seen.sum()} of the {len(seen)} test rows of {data.name} were trained on; "
        f"{np.sum(~seen)} others are measured.",
        err=True,
    )
    if seen.all():
        raise click.ClickException("No test row is left. Name a file of other rows: --data.")
    kept = np.flatnonzero(~seen)
    return replace(data, X_test=data.X_test[kept], y_test=data.y_test[kept], test_rows=kept)


def _known(records: Sequence[Mapping[str, Any]]) -> list[TrainedRows]:
    found = [record["trained_rows"] for record in records if "trained_rows" in record]
    once = [each for i, each in enumerate(found) if each not in found[:i]]  # members of an ensemble
    return [TrainedRows.from_dict(each) for each in once]


def _seen(whole: Dataset, known: Sequence[TrainedRows]) -> np.ndarray:
    """Return which rows of a file were trained on."""
    seen = np.zeros(len(whole.X_train), dtype=bool)
    for rows in known:
        data = _columns_of(rows, whole)
        if rows.table == table_digest(data):
            trained = np.ones(len(seen), dtype=bool)
            trained[split_rows(whole).test_rows] = False
            seen |= trained
        else:
            seen |= rows.seen(data.X_train)
    return seen


def _columns_of(rows: TrainedRows, data: Dataset) -> Dataset:
    """Return the data with the columns of the rows that were trained on."""
    named = rows.columns is not None and data.feature_names is not None
    return data.select(rows.columns or []) if named else data


def _say(
    source: Source, records: Sequence[Mapping[str, Any]], seen: np.ndarray, others: str
) -> None:
    """Print how many rows were trained on, if any or if the file is not the one trained on."""
    path = os.path.abspath(source.data or "")
    changed = any(record.get("data") == path for record in records)
    if not changed and not seen.any():
        return
    of_those = max(rows.count for rows in _known(records))
    click.echo(
        f"'{source.data}'{' has changed since the training' if changed else ''}: {seen.sum()} of "
        f"its {len(seen)} rows are among the {of_those} that were trained on; {others}.",
        err=True,
    )


def _say_overlap(data: Dataset, source: Source, known: Sequence[TrainedRows]) -> None:
    seen = TrainedRows.of(data, split=False).seen(data.X_test)
    for rows in known:
        seen |= rows.seen(_columns_of(rows, data).X_test)
    if seen.any():
        click.echo(
            f"Warning: {seen.sum()} of the {len(seen)} rows of '{source.test_data}' were trained "
            "on, too.",
            err=True,
        )


def say_test_rows(unlabeled: Any, data: Dataset, columns: Sequence[str] | None, path: str) -> None:
    """Warn of unlabelled rows that are test rows, too.

    Parameters
    ----------
    unlabeled : DataFrame or ndarray
    data : Dataset
    columns : sequence of str or None
        Those of the unlabelled rows.
    path : str
        Their file, for the message.
    """
    chosen = data if columns is None else data.select(columns)
    test = TrainedRows.of(replace(chosen, X_train=chosen.X_test), split=False)
    tested = test.seen(np.asarray(unlabeled, dtype=np.float32))
    if tested.any():
        click.echo(
            f"Warning: {tested.sum()} of the {len(tested)} rows of '{path}' are test rows, too. "
            "The student learns from them, and is measured on them.",
            err=True,
        )
