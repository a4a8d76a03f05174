import numpy as np
import pytest

from soft_students.labelled import LabelledParts, label_parts, windows
from soft_students.labelled.windows import ShuffledParts

ROW_BYTES = 4 * (6 + 3 + 1)  # of six features, three outputs and a label, as a window counts it


@pytest.fixture
def parts(teacher_file, big, tmp_path):
    label_parts(teacher_file, f"{big}/*.parquet", tmp_path / "out", target="y", part_rows=300)
    return LabelledParts(tmp_path / "out")


def known(rows):
    """Return rows with all that is known of them, in an order of their own."""
    table = np.column_stack([rows.X, rows.targets, rows.labels])
    return table[np.lexsort(table.T)]


def everything(parts):
    table = np.concatenate(
        [np.column_stack([part.X(), part.targets(), part.labels()]) for part in parts]
    )
    return table[np.lexsort(table.T)]


@pytest.mark.parametrize("window_rows", [100, 700, 10_000])
@pytest.mark.parametrize("batch_size", [1, 64, 700, 5_000])
def test_each_row_once_and_all_batches_full(parts, monkeypatch, window_rows, batch_size):
    monkeypatch.setattr(windows, "WINDOW_BYTES", ROW_BYTES * window_rows)
    rows = ShuffledParts(parts, held_out_fraction=0.0, seed=0, labels=True)
    batches = list(rows.batches(batch_size, np.random.RandomState(3)))
    lengths = [len(batch) for batch in batches]
    assert sum(lengths) == rows.n_rows == 2100
    assert all(length == batch_size for length in lengths[:-1])
    tables = [known(batch) for batch in batches]
    table = np.concatenate(tables)
    np.testing.assert_array_equal(table[np.lexsort(table.T)], everything(parts))


def test_windows_hold_no_more_than_they_may(parts, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 30_000)
    for labels in (False, True):
        rows = ShuffledParts(parts, held_out_fraction=0.0, seed=0, labels=labels)
        held = [window.X.nbytes + window.targets.nbytes for window in rows.windows()]
        assert sum(held) == 4 * (6 + 3) * 2100
        assert 15_000 < max(held) <= 30_000


def test_some_rows_are_left_to_train_on(teacher_file, tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((2, 6), dtype=np.float32))
    label_parts(teacher_file, [tmp_path / "rows.npy"], tmp_path / "out")
    with pytest.raises(ValueError, match=r"validation_fraction=0.99 leaves none of the 2 rows"):
        ShuffledParts(LabelledParts(tmp_path / "out"), held_out_fraction=0.99, seed=0, labels=False)


def test_epochs_have_their_own_orders(parts, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", ROW_BYTES * 700)
    rows = ShuffledParts(parts, held_out_fraction=0.0, seed=0, labels=False)
    random = np.random.RandomState(0)
    first, second = (
        np.concatenate([batch.X for batch in rows.batches(64, random)]) for _ in range(2)
    )
    again = np.concatenate([batch.X for batch in rows.batches(64, np.random.RandomState(0))])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_rows_held_out_are_in_no_batch(parts, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", ROW_BYTES * 700)
    rows = ShuffledParts(parts, held_out_fraction=0.2, seed=5, labels=True)
    held_out = rows.held_out()
    assert 0.15 < len(held_out) / 2100 < 0.25
    assert rows.n_rows == 2100 - len(held_out)
    trained = [known(batch) for batch in rows.batches(64, np.random.RandomState(0))]
    table = np.concatenate([known(held_out), *trained])
    np.testing.assert_array_equal(table[np.lexsort(table.T)], everything(parts))


def test_no_more_rows_are_held_out_than_a_window_takes(parts, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", ROW_BYTES * 100)
    rows = ShuffledParts(parts, held_out_fraction=0.5, seed=0, labels=False)
    assert 50 < len(rows.held_out()) < 150


def test_labels_that_nobody_named(teacher_file, big, tmp_path):
    label_parts(teacher_file, f"{big}/*.parquet", tmp_path / "out", exclude=["y"])
    with pytest.raises(ValueError, match="has no column of labels"):
        ShuffledParts(LabelledParts(tmp_path / "out"), held_out_fraction=0.0, seed=0, labels=True)


def test_fingerprint_tells_other_targets(parts, teacher_file, big, tmp_path):
    def fingerprint(folder, seed=0):
        some = LabelledParts(folder)
        return ShuffledParts(some, held_out_fraction=0.1, seed=seed, labels=False).fingerprint()

    own = fingerprint(tmp_path / "out")
    assert own == fingerprint(tmp_path / "out") != fingerprint(tmp_path / "out", seed=1)
    label_parts(
        teacher_file, f"{big}/*.parquet", tmp_path / "soft", target="y", kind="probabilities"
    )
    assert own != fingerprint(tmp_path / "soft")
    label_parts(teacher_file, f"{big}/*.parquet", tmp_path / "untargeted", exclude=["y"])
    assert own != fingerprint(tmp_path / "untargeted")
