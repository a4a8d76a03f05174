"""Tables that claim far more than they hold, or are of a shape that nobody's tables have."""

import io
import resource
import sys
import time

import numpy as np
import pytest

from soft_students.datasets import load_dataset
from soft_students.datasets.tables import load_rows

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _bounded():
    """Little time and memory, whatever the file."""
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert time.process_time() - started < 5
    assert sys.platform != "linux" or grown < 2**20  # a gigabyte


def names(n):
    return ",".join(f"c{i}" for i in range(n))


@pytest.mark.parametrize(
    "header", [names(10**6), '"a\nb",' + names(10**6), "\n\n" + names(10**6), "," * 10**6]
)
def test_a_million_columns_are_refused(tmp_path, header):
    path = tmp_path / "table.csv"
    path.write_text(f"{header},y\n1,2\n")
    with pytest.raises(ValueError, match="columns; a table may have up to 32768"):
        load_dataset(path, target="y")


def test_a_million_columns_of_parquet_or_on_standard_input_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"standard input.* columns; a table may have up to"):
        load_rows(io.BytesIO(names(10**5).encode() + b"\n1\n"))
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({f"c{i}": [1] for i in range(33_000)}), path)
    with pytest.raises(ValueError, match="33000 columns; a table may have up to"):
        load_rows(path)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_short_rows_that_would_be_filled_up_are_refused(tmp_path, end):
    path = tmp_path / "table.csv"
    path.write_text(names(30_000) + end + f"1{end}" * 200_000, newline="")
    with pytest.raises(ValueError, match=r"too few for \d+ rows of 30000 columns"):
        load_rows(path)


@pytest.mark.parametrize("text", ['"' + "a" * 200_000, "a,y\n" + '"' * 9999, "\0" * 99, "\r" * 99])
def test_text_that_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"table\.csv"):
        load_dataset(path, target="y")


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_one_long_label_among_many_is_refused(tmp_path, kind):
    """As text of a fixed width each row would take as much."""
    frame = pd.DataFrame({"a": 1.0, "y": ["x" * 100_000] + ["x", "z"] * 5_000})
    path = tmp_path / f"table{kind}"
    if kind == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    with pytest.raises(ValueError, match="a label of 100000 characters"):
        load_dataset(path, target="y")


def test_a_parquet_file_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    columns = {
        f"c{i}": pa.DictionaryArray.from_arrays(np.zeros(10**6, "i4"), [1.0]) for i in range(9)
    }
    parquet.write_table(pa.table(columns), path)
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match="claims 1000000 rows of 9 columns"):
        load_rows(path)


def test_a_text_that_parquet_stores_once_is_not_copied_for_each_row(tmp_path):
    path = tmp_path / "table.parquet"
    text = pa.DictionaryArray.from_arrays(np.zeros(10**5, "i4"), ["x" * 10**5])
    parquet.write_table(pa.table({"a": np.zeros(10**5), "y": text}), path, store_schema=False)
    with pytest.raises(ValueError, match="a label of 100000 characters"):
        load_dataset(path, target="y")


def test_nested_columns_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"a": [[1.0], [2.0]], "y": [0, 1]}), path)
    with pytest.raises(ValueError, match=r"must hold one value per row\. Not so: 'a'"):
        load_dataset(path, target="y")


def test_notes_for_pandas_that_are_no_json_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    table = pa.table({"a": [1.0, 2.0], "y": [0, 1]})
    for notes in (b"{", b"[]", b'{"columns": [{"name": "a"}]}', b"[" * 10_000):
        parquet.write_table(table.replace_schema_metadata({b"pandas": notes}), path)
        with pytest.raises(ValueError, match="cannot be read as a Parquet file"):
            load_dataset(path, target="y")
