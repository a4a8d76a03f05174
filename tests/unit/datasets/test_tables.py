"""CSV and Parquet files: what becomes of the columns, and what is refused."""

import sys

import numpy as np
import pytest

from soft_students.datasets import check_complete, load_dataset

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def table(n=40):
    return pd.DataFrame(
        {
            "width": np.arange(n) / 8,
            "kind": np.where(np.arange(n) % 4 == 0, "rare", "common"),
            "count": np.arange(n) * 3,
            "open": np.arange(n) % 2 == 0,
        }
    )


WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.fixture(params=list(WRITERS))
def written(request, tmp_path):
    """Write a DataFrame in each of the formats."""

    def write(frame):
        path = tmp_path / f"table{request.param}"
        WRITERS[request.param](frame, path)
        return path

    return write


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_columns_become_features_and_labels(written):
    path = written(table())
    dataset = load_dataset(path, target="kind")
    assert dataset.name == path.name
    assert dataset.feature_names == ["width", "count", "open"]
    assert dataset.classes.tolist() == ["common", "rare"]
    assert dataset.task == "classification"
    assert dataset.image_shape is None
    assert dataset.X_train.dtype == np.float32
    assert dataset.X_train.flags.c_contiguous
    assert dataset.X_train.shape == (30, 3)
    # Every row of the table is in exactly one part, with its own label.
    X = np.concatenate([dataset.X_train, dataset.X_test])
    y = np.concatenate([dataset.y_train, dataset.y_test])
    order = np.argsort(X[:, 0])
    np.testing.assert_array_equal(X[order, 0], np.arange(40) / 8)
    np.testing.assert_array_equal(X[order, 1], np.arange(40) * 3)
    np.testing.assert_array_equal(X[order, 2], np.arange(40) % 2 == 0)
    np.testing.assert_array_equal(y[order] == "rare", np.arange(40) % 4 == 0)


def test_the_test_part_keeps_the_proportions_of_the_classes(written):
    dataset = load_dataset(written(table()), target="kind", test_size=0.2)
    assert np.count_nonzero(dataset.y_test == "rare") == 2
    assert np.count_nonzero(dataset.y_test == "common") == 6


def test_the_split_follows_random_state(written):
    path = written(table())
    first, again, other = (
        load_dataset(path, target="kind", random_state=seed).X_test for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("values", "task", "dtype", "n_classes"),
    [
        (np.arange(300) % 7, "classification", np.int64, 7),
        (np.arange(300) % 7 * 1.0, "classification", np.int64, 7),
        (np.arange(300) % 100, "classification", np.int64, 100),
        (np.arange(300) % 101, "regression", np.float64, None),
        (np.arange(300) % 7 + 0.5, "regression", np.float64, None),
        (np.arange(300) % 2 == 0, "classification", np.bool_, 2),
    ],
)
def test_the_task_is_told_from_the_target(written, values, task, dtype, n_classes):
    frame = pd.DataFrame({"x": np.arange(300), "y": values})
    dataset = load_dataset(written(frame), target="y")
    assert dataset.task == task
    assert dataset.y_train.dtype == dtype
    assert (None if dataset.classes is None else len(dataset.classes)) == n_classes
    order = np.argsort(dataset.X_train[:, 0])
    rows = dataset.X_train[order, 0].astype(int)
    np.testing.assert_array_equal(dataset.y_train[order], values[rows])


def test_the_task_can_be_chosen(written):
    frame = pd.DataFrame({"x": np.arange(300), "y": np.arange(300) % 150, "z": np.arange(300) % 2})
    path = written(frame)
    assert len(load_dataset(path, target="y", task="classification").classes) == 150
    assert load_dataset(path, target="z", task="regression").classes is None


def test_text_cannot_be_regressed_on(written):
    with pytest.raises(ValueError, match=r"'kind' .*must hold numbers for a regression"):
        load_dataset(written(table()), target="kind", task="regression")


def test_fractions_cannot_be_classes(written):
    path = written(table().drop(columns="kind"))
    with pytest.raises(ValueError, match=r"'width' .*whole numbers for a classification"):
        load_dataset(path, target="width", task="classification")


def test_other_tasks_are_refused(written):
    with pytest.raises(ValueError, match=r"'task' parameter of load_dataset .*Got 'ranking'"):
        load_dataset(written(table()), target="kind", task="ranking")


def test_classes_too_rare_to_be_in_both_parts_do_not_stop_the_split(written):
    frame = table()
    frame.loc[0, "kind"] = "only one"
    dataset = load_dataset(written(frame), target="kind")
    assert len(dataset.X_test) == 10
    assert dataset.classes.tolist() == ["common", "only one", "rare"]


def test_a_missing_target_lists_the_columns(written):
    path = written(table())
    with pytest.raises(ValueError, match=r"target=.*--target.*'width', 'kind', 'count', 'open'"):
        load_dataset(path)
    with pytest.raises(ValueError, match=r"no column 'knd'.*Did you mean 'kind'\?.*'count'"):
        load_dataset(path, target="knd")


def test_a_long_list_of_columns_is_cut_short(written):
    frame = pd.DataFrame(np.zeros((3, 50)), columns=[f"c{i}" for i in range(50)])
    with pytest.raises(ValueError, match=r"'c19' and 30 more\."):
        load_dataset(written(frame))


def test_features_that_are_not_numbers_are_named(written):
    frame = table().assign(when=pd.date_range("2020-01-01", periods=40).astype(str))
    with pytest.raises(ValueError, match=r"must be numbers\. Not so: 'kind', 'when'\.") as found:
        load_dataset(written(frame), target="count")
    kind, dates = str(found.value).split("'when' holds")
    assert "'kind' holds text, 'rare' in row 1 and in 39 more. If these are categories" in kind
    assert "dates or times, '2020-01-01' in row 1" in dates
    assert "categor" not in dates


def test_the_sign_of_a_missing_value_is_no_category(written):
    frame = table().astype({"width": object})
    frame.loc[[11, 30], "width"] = "?"
    with pytest.raises(ValueError, match=r"numbers, but '\?' in row 12 and in 1 more") as e:
        load_dataset(written(frame.astype({"width": str})), target="kind")
    assert "missing value, leave the cell empty" in str(e.value)
    assert "categor" not in str(e.value)


def test_infinite_features_are_refused(written):
    frame = table()
    frame.loc[[4, 9], "width"] = -np.inf
    with pytest.raises(ValueError, match=r"'width' .*Got -inf in row 5 and in 1 more"):
        load_dataset(written(frame), target="kind")


def test_a_table_is_tested_on_the_rows_of_another(written, tmp_path):
    path = written(table())
    more = table()[:7].assign(kind="new")
    other = tmp_path / f"other{path.suffix}"
    write = more.to_csv if path.suffix == ".csv" else more.to_parquet
    write(other, index=False)
    dataset = load_dataset(path, target="kind", test_data=other)
    assert (len(dataset.X_train), dataset.y_test.tolist()) == (40, ["new"] * 7)
    assert dataset.X_test.tolist() == dataset.X_train[:7].tolist()
    assert "new" in dataset.classes
    with pytest.raises(ValueError, match="'test_size' parameter does not apply"):
        load_dataset(path, target="kind", test_data=other, test_size=0.5)


def test_test_data_of_another_target_are_refused(written, tmp_path):
    other = tmp_path / "other.csv"
    table().assign(kind=1).to_csv(other, index=False)
    with pytest.raises(ValueError, match="must be of one kind"):
        load_dataset(written(table()), target="kind", test_data=other)
    table().drop(columns="width").to_csv(other, index=False)
    with pytest.raises(ValueError, match=r"lacks 1 of the columns.*'width'"):
        load_dataset(written(table()), target="kind", test_data=other)


WORDS = ["None", "NA", "N/A", "n/a", "null", "NULL", "nan", "NaN", "<NA>", "#N/A", "-nan"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_class_may_have_the_name_of_a_missing_value(tmp_path, word, suffix):
    frame = pd.DataFrame({"a": np.arange(40.0), "y": [word, "scratch"] * 20})
    path = tmp_path / f"rows.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    dataset = load_dataset(path, target="y", random_state=0)
    assert dataset.classes.tolist() == sorted([word, "scratch"])
    labels = np.concatenate([dataset.y_train, dataset.y_test])
    rows = np.concatenate([dataset.X_train, dataset.X_test])[:, 0]
    np.testing.assert_array_equal(labels == word, rows % 2 == 0)


def test_in_text_an_empty_cell_is_missing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('a,y\n1,None\n2,\n3,scratch\n4,""\n')
    with pytest.raises(ValueError, match=r"'y' .* has no value in 2 of 4 rows, first in row 2\. "):
        load_dataset(path, target="y")


def test_among_numbers_a_word_for_a_missing_value_is_quoted(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n1,0.5\n2,NA\n3,nan\n4,\n5,2\n")
    with pytest.raises(ValueError, match=r"has no value \('NA', 'nan'\) in 3 of 5 rows") as raised:
        load_dataset(path, target="y")
    assert "a class needs another name" in str(raised.value)


def test_truth_values_and_nothing_are_missing_truth_values(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n1,True\n2,NA\n3,False\n")
    with pytest.raises(ValueError, match=r"has no value \('NA'\) in 1 of 3 rows"):
        load_dataset(path, target="y")


def test_words_among_numeric_features_are_missing_values(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,y\n1,NA,no\n2,3,NA\n,4,no\n5,null,NA\n")
    dataset = load_dataset(path, target="y", test_size=0.5, random_state=0)
    X = np.concatenate([dataset.X_train, dataset.X_test])
    assert np.isnan(X).sum(axis=0).tolist() == [1, 2]
    assert dataset.classes.tolist() == ["NA", "no"]


def test_missing_features_stay_missing(written):
    frame = table()
    frame.loc[3, "width"] = np.nan
    dataset = load_dataset(written(frame), target="kind")
    assert np.isnan(dataset.X_train).sum() + np.isnan(dataset.X_test).sum() == 1


def test_features_beyond_float32_are_refused(written):
    frame = table()
    frame.loc[3, "width"] = 1e300
    with pytest.raises(ValueError, match=r"'width' .*beyond the range of float32"):
        load_dataset(written(frame), target="kind")


@pytest.mark.parametrize("column", ["width", "kind"])
def test_missing_targets_are_counted(written, column):
    frame = table().rename(columns={"kind": "kind_", column: "y"})
    frame["y"] = frame["y"].astype(object)
    frame.loc[[3, 5], "y"] = None
    if column == "width":
        frame["y"] = frame["y"].astype(float)
    features = frame[["count", "open", "y"]]
    with pytest.raises(ValueError, match=r"'y' .*no value in 2 of 40 rows, first in row 4"):
        load_dataset(written(features), target="y")


def test_infinite_targets_are_refused(written):
    frame = table()
    frame.loc[7, "width"] = np.inf
    with pytest.raises(ValueError, match=r"'width' .*must be finite. Got inf in row 8"):
        load_dataset(written(frame.drop(columns="kind")), target="width")


def test_a_table_without_rows_is_refused(written):
    with pytest.raises(ValueError, match="no rows"):
        load_dataset(written(table().iloc[:0]), target="kind")


def test_one_row_cannot_be_split(written):
    with pytest.raises(ValueError, match=r"at least 2 rows.*Got 1\."):
        load_dataset(written(table().iloc[:1]), target="kind")


def test_a_target_alone_is_refused(written):
    with pytest.raises(ValueError, match="at least one column besides the target 'kind'"):
        load_dataset(written(table()[["kind"]]), target="kind")


@pytest.mark.parametrize("size", [0, 1, 1.5, -0.1, float("nan"), "half", True])
def test_test_size_must_be_a_fraction(written, size):
    with pytest.raises(
        ValueError, match=r"'test_size' parameter of load_dataset .*in the range \(0, 1\)"
    ):
        load_dataset(written(table()), target="kind", test_size=size)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_without_pandas_the_extra_is_named(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"table{suffix}"
    WRITERS[suffix](table(), path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'soft-students\[tables\]'"):
        load_dataset(path, target="kind")


# --- CSV alone


def test_an_empty_csv_file_is_refused(csv):
    with pytest.raises(ValueError, match=r"table\.csv' is empty"):
        load_dataset(csv(""), target="y")


def test_columns_of_the_same_name_are_refused(csv):
    with pytest.raises(ValueError, match="must differ; 'a' occurs more than once"):
        load_dataset(csv("a,b,a,y\n1,2,3,0\n4,5,6,1\n"), target="y")


def test_a_column_of_row_numbers_without_a_name_is_refused(csv):
    with pytest.raises(ValueError, match=r"number 1 has none.*index=False"):
        load_dataset(csv(table().to_csv()), target="kind")


@pytest.mark.parametrize(
    "text",
    [
        "a,b,y\n1,2,0,9\n4,5,1,9\n",  # every row longer than the header
        "a,b,y\n1,2,0\n4,5,1,9\n",  # one row longer
        'a,b,y\n1,"2,0\n4,5,1\n',  # a quotation without end
    ],
)
def test_rows_that_do_not_fit_the_header_are_refused(csv, text):
    with pytest.raises(ValueError, match="not a regular CSV file"):
        load_dataset(csv(text), target="y")


def test_a_csv_file_with_semicolons_shows_its_one_column(csv):
    with pytest.raises(ValueError, match=r"no column 'y'.*Columns: 'a;b;y'"):
        load_dataset(csv("a;b;y\n1;2;0\n4;5;1\n"), target="y")


def test_a_byte_order_mark_is_no_part_of_the_first_name(csv):
    dataset = load_dataset(csv(b"\xef\xbb\xbfy,a\n0,1\n1,2\n"), target="y")
    assert dataset.feature_names == ["a"]


def test_quoted_names_and_values_are_unquoted(csv):
    dataset = load_dataset(csv('"a, b","y"\n1,"p, q"\n2,"r"\n'), target="y")
    assert dataset.feature_names == ["a, b"]
    assert dataset.classes.tolist() == ["p, q", "r"]


def test_text_in_another_encoding_is_refused(csv):
    with pytest.raises(ValueError, match="not UTF-8"):
        load_dataset(csv("größe,y\n1,0\n2,1\n".encode("latin-1")), target="y")


# --- Parquet alone


def test_a_file_that_is_not_parquet_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"a,y\n1,0\n" * 10)
    with pytest.raises(ValueError, match="cannot be read as a Parquet file"):
        load_dataset(path, target="y")


def test_nullable_and_categorical_columns_keep_their_values(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame(
        {
            "a": pd.array([1, None, 3, 4], dtype="Int64"),
            "b": pd.array([True, False, None, True], dtype="boolean"),
            "y": pd.Categorical([7, 9, 7, 9]),
        }
    ).to_parquet(path)
    dataset = load_dataset(path, target="y", test_size=0.5)
    assert dataset.classes.tolist() == [7, 9]
    X = np.concatenate([dataset.X_train, dataset.X_test])
    np.testing.assert_array_equal(np.sort(X[:, 0]), [1, 3, 4, np.nan])
    np.testing.assert_array_equal(np.sort(X[:, 1]), [0, 1, 1, np.nan])


def test_targets_of_other_types_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1, 2], "y": [b"p", b"q"]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"'y' .*must hold numbers or text. Got bytes"):
        load_dataset(path, target="y")


def test_columns_of_the_same_name_in_parquet_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "table.parquet"
    pq.write_table(pa.table([[1, 2], [3, 4], [0, 1]], names=["a", "a", "y"]), path)
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        load_dataset(path, target="y")


def test_missing_values_are_told_with_the_row_of_the_file():
    X = np.zeros((3, 2))
    X[[1, 2], 1] = np.nan
    numbers = np.array([40, 31, 7])
    with pytest.raises(
        ValueError, match=r"in 2 of 3 rows, in the columns 'b', first in row 7, cou"
    ):
        check_complete(X, ["a", "b"], "'t.csv'", numbers)
    with pytest.raises(ValueError, match=r"in the columns '2', first in row 1, counted from 0"):
        check_complete(X, None, "'t.csv'")
