"""Rows to predict on, columns by name, and values that are missing."""

import io

import numpy as np
import pytest

from soft_students.datasets import check_complete, load_dataset, load_rows

pd = pytest.importorskip("pandas")


@pytest.fixture
def frame():
    return pd.DataFrame({"a": [1, 2, 3, 4], "b": [0.5, 1.5, 2.5, 3.5], "kind": list("xyxy")})


@pytest.fixture
def csv(frame, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def test_rows_come_as_they_are_or_by_column(csv, frame):
    pd.testing.assert_frame_equal(load_rows(csv), frame, check_dtype=False)
    rows = load_rows(csv, ["b", "a"])
    assert list(rows.columns) == ["b", "a"]
    assert set(rows.dtypes) == {np.dtype(np.float32)}
    np.testing.assert_array_equal(rows.to_numpy(), frame[["b", "a"]].to_numpy())


def test_a_file_object_holds_csv(csv):
    pd.testing.assert_frame_equal(load_rows(io.BytesIO(csv.read_bytes())), load_rows(csv))
    with pytest.raises(ValueError, match="'standard input' is empty"):
        load_rows(io.BytesIO(b""))


def test_columns_that_are_missing_or_text_are_named(csv):
    with pytest.raises(ValueError, match=r"lacks 1 of the columns .*: 'c'\. It has: 'a', 'b'"):
        load_rows(csv, ["a", "c"])
    with pytest.raises(ValueError, match=r"must be numbers\. Not so: 'kind'"):
        load_rows(csv, ["a", "kind"])


@pytest.mark.parametrize(("written", "read"), [("npy", "npz"), ("npz", "npy")])
def test_an_array_is_read_by_what_it_is_not_by_its_name(tmp_path, written, read):
    X = np.arange(6.0).reshape(3, 2)
    path = tmp_path / f"rows.{written}"
    if written == "npy":
        np.save(path, X)
    else:
        np.savez(path, X=X)
    np.testing.assert_array_equal(load_rows(path.rename(tmp_path / f"rows.{read}")), X)


def test_select_takes_columns_by_name_in_the_order_asked(csv):
    data = load_dataset(csv, target="kind")
    turned = data.select(["b", "a"])
    assert turned.feature_names == ["b", "a"]
    for before, after in ((data.X_train, turned.X_train), (data.X_test, turned.X_test)):
        np.testing.assert_array_equal(after, before[:, ::-1])
        assert after.flags.c_contiguous
    assert data.select(["b"]).X_test.shape == (1, 1)
    assert data.select(["a", "b"]) is data


def test_select_names_what_is_not_there(csv):
    with pytest.raises(ValueError, match=r"lacks 1 of the columns .*: 'c'\. It has: 'a', 'b'"):
        load_dataset(csv, target="kind").select(["c", "a"])
    with pytest.raises(ValueError, match="none with names"):
        load_dataset("digits").select(["a"])


def test_missing_values_are_counted_and_their_columns_named():
    X = np.ones((4, 3), np.float32)
    check_complete(X, None, "It")
    X[1, 2] = X[3, 2] = X[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"^It has no value \(NaN\) in 2 of 4 rows.*'a', 'c'"):
        check_complete(X, ["a", "b", "c"], "It")
    with pytest.raises(ValueError, match="'1', '3'"):
        check_complete(X, None, "It")
