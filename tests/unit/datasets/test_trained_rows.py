"""Rows that were trained on are known again, in whatever order and beside whatever others."""

import json
from dataclasses import replace

import numpy as np
import pytest

from soft_students.datasets import trained_rows as module
from soft_students.datasets.dataset import Dataset
from soft_students.datasets.tabular import split_rows
from soft_students.datasets.trained_rows import TrainedRows, table_digest


@pytest.fixture
def whole():
    X = np.random.default_rng(3).normal(size=(60, 3)).astype(np.float32)
    X[7] = X[8] = X[9]
    X[20, 1] = np.nan
    y = np.where(X[:, 0] > 0, "warm", "cold")
    rows = np.arange(60)
    return Dataset(
        "weather.csv", X, y, X[:0], y[:0], np.unique(y), ["t", "rain", "wind"], None, "",
        train_rows=rows, test_rows=rows[:0],
    )  # fmt: skip


def with_rows(whole, X, y):
    return replace(whole, X_train=X, y_train=y, train_rows=np.arange(len(X)))


def kept(data, **settings):
    """Return the record of training rows, as it comes back out of a file."""
    described = json.loads(json.dumps(TrainedRows.of(data, split=True, **settings).as_dict()))
    return TrainedRows.from_dict(described)


def test_exactly_the_training_rows_are_known_in_any_order(whole):
    data = split_rows(whole)
    known = kept(data)
    assert known.count == len(data.X_train) == 45
    order = np.random.default_rng(0).permutation(60)
    trained = np.isin(order, data.train_rows)
    # of equal rows as many as were trained on, whichever they are
    twins = np.isin(order, [7, 8, 9])
    seen = known.seen(whole.X_train[order])
    assert seen[~twins].tolist() == trained[~twins].tolist()
    assert seen[twins].sum() == trained[twins].sum()


def test_other_rows_are_unknown(whole):
    known = kept(split_rows(whole))
    assert not known.seen(whole.X_train + np.float32(0.001)).any()
    assert known.seen(whole.X_train[:0]).tolist() == []


def test_minus_zero_and_other_missing_values_are_the_same_row(whole):
    X = np.zeros((2, 3), dtype=np.float32)
    X[1, 0] = np.nan
    known = kept(with_rows(whole, X, whole.y_train[:2]))
    other = -X
    other.view(np.uint32)[1, 0] ^= 1  # a NaN of other bits
    assert known.seen(other).all()


def test_columns_may_be_moved(whole):
    data = split_rows(whole)
    known = kept(data)
    moved = whole.select(["wind", "t", "rain"])
    assert table_digest(moved) == table_digest(data) == known.table
    again = moved.select(known.columns)
    assert known.seen(again.X_train).sum() == 45


def test_unlabelled_rows_are_trained_on_too(whole):
    data = split_rows(whole)
    more = data.X_test[:4].astype(np.float64)
    assert kept(data, unlabeled=more).seen(data.X_test).sum() == 4


@pytest.mark.parametrize("change", ["order", "value", "label", "length"])
def test_the_digest_of_a_table_notices_changes(whole, change):
    X, y = whole.X_train.copy(), whole.y_train.copy()
    if change == "order":
        X, y = X[::-1], y[::-1]
    elif change == "value":
        X[50, 2] += 1
    elif change == "label":
        y[50] = "warm" if y[50] == "cold" else "cold"
    else:
        X, y = X[1:], y[1:]
    assert table_digest(with_rows(whole, X, y)) != table_digest(whole)
    assert table_digest(split_rows(whole)) == table_digest(whole)


def test_of_many_rows_a_sample_is_kept_and_no_trained_row_passes(whole, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 20)
    data = split_rows(whole)
    known = kept(data)
    assert len(known.digests) <= 20
    assert known.seen(data.X_train).all()
    others = known.seen(np.random.default_rng(5).normal(size=(400, 3)).astype(np.float32))
    assert 0.2 < others.mean() < 0.9  # the rows of which nothing is known


def test_a_large_table_takes_little_room():
    X = np.arange(100_000, dtype=np.float32)[:, np.newaxis]
    data = Dataset("n.csv", X, X[:, 0], X[:0], X[:0, 0], None, ["n"], None, "", "regression")
    described = TrainedRows.of(data, split=False).as_dict()
    assert len(json.dumps(described)) < 3 * len(X)
    assert TrainedRows.from_dict(described).seen(X[::7]).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.pop("digests"),
        lambda value: value.update(digests="%"),
        lambda value: value.update(digests=value["digests"][:-9]),
        lambda value: value.update(count="45"),
        lambda value: value.update(below=0),
        lambda value: value.update(columns=[1, 2, 3]),
        lambda value: value.update(table=7),
    ],
)
def test_a_damaged_record_is_refused(whole, spoil):
    described = TrainedRows.of(whole, split=True).as_dict()
    spoil(described)
    with pytest.raises(ValueError, match="damaged record of the rows"):
        TrainedRows.from_dict(described)


def test_a_record_does_not_unpack_to_more_than_its_bound(whole, monkeypatch):
    described = TrainedRows.of(whole, split=True).as_dict()
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    with pytest.raises(ValueError, match="damaged record"):
        TrainedRows.from_dict(described)
    with pytest.raises(ValueError, match="damaged record"):
        TrainedRows.from_dict(None)
