import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from soft_students.labelled.sources import identity, open_source

X = np.random.RandomState(0).normal(size=(1000, 4)).astype(np.float32)
NAMES = list("abcd")


def parquet(path, **options):
    pq.write_table(pa.table({n: X[:, i] for i, n in enumerate(NAMES)}), path, **options)
    return path


def npy(path, array=X):
    np.save(path, array)
    return path


def zarr_array(path, array=X, **options):
    store = zarr.create_array(path, shape=array.shape, dtype=array.dtype, **options)
    store[:] = array
    return path


def read(source, start, stop, rows, columns=None):
    return list(source.batches(start, stop, rows, columns))


@pytest.fixture(params=["parquet", "npy", "npy_fortran", "zarr", "zarr_shards"])
def source(request, tmp_path):
    """Return the same rows from each kind of file; Parquet and Zarr in blocks of 100."""
    return open_source(
        {
            "parquet": lambda: parquet(tmp_path / "x.parquet", row_group_size=100),
            "npy": lambda: npy(tmp_path / "x.npy"),
            "npy_fortran": lambda: npy(tmp_path / "x.npy", np.asfortranarray(X)),
            "zarr": lambda: zarr_array(tmp_path / "x.zarr", chunks=(100, 3)),
            "zarr_shards": lambda: zarr_array(tmp_path / "x.zarr", chunks=(50, 4), shards=(100, 4)),
        }[request.param]()
    )


def test_batches_are_the_rows(source):
    assert (source.n_rows, source.n_columns) == X.shape
    batches = read(source, 0, 1000, 64)
    assert max(map(len, batches)) <= 64
    assert all(batch.dtype == np.float32 and batch.flags.c_contiguous for batch in batches)
    np.testing.assert_array_equal(np.concatenate(batches), X)
    np.testing.assert_array_equal(np.concatenate(read(source, 200, 500, 1000)), X[200:500])


def test_cuts_cover_all_rows_once(source):
    for rows in (1, 100, 250, 1000, 5000):
        cuts = source.cuts(rows)
        assert cuts[0] == 0
        assert cuts[-1] == 1000
        assert np.diff(cuts).min() > 0
    assert source.cuts(5000) == [0, 1000]
    assert source.cuts(300)[1] == 300


def test_parquet_columns_come_by_name(tmp_path):
    source = open_source(parquet(tmp_path / "x.parquet"))
    (batch,) = read(source, 0, 1000, 1000, ["c", "a"])
    np.testing.assert_array_equal(batch, X[:, [2, 0]])
    np.testing.assert_array_equal(source.column("b", 0, 1000), X[:, 1])
    with pytest.raises(ValueError, match="no column 'e'"):
        source.column("e", 0, 1000)


def test_parquet_null_is_nan_and_whole_numbers_are_numbers(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"i": [1, None, 3], "b": [True, False, None]}), path)
    (batch,) = read(open_source(path), 0, 3, 10)
    np.testing.assert_array_equal(batch, np.array([[1, 1], [np.nan, 0], [3, np.nan]], np.float32))


def test_parquet_text_is_no_feature_but_may_be_a_label(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1.0, 2.0], "s": ["u", "v"]}), path)
    source = open_source(path)
    with pytest.raises(ValueError, match=r"must be numbers. Not numeric: 's'"):
        read(source, 0, 2, 10)
    assert source.column("s", 0, 2).tolist() == ["u", "v"]


def test_parquet_duplicate_columns_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["a", "a"]), path)
    with pytest.raises(ValueError, match="'a' more than once"):
        open_source(path)


def test_values_beyond_float32_are_refused(tmp_path):
    source = open_source(npy(tmp_path / "x.npy", np.full((2, 2), 1e300)))
    with pytest.raises(ValueError, match="beyond the range of float32"):
        read(source, 0, 2, 10)


def test_images_are_rows(tmp_path):
    source = open_source(npy(tmp_path / "x.npy", np.ones((5, 2, 3), np.uint8)))
    assert source.n_columns == 6
    assert read(source, 0, 5, 10)[0].shape == (5, 6)


@pytest.mark.parametrize("name", ["x.parquet", "x.npy"])
@pytest.mark.parametrize("keep", [0, 5, 0.5])
def test_truncated_file_is_named(tmp_path, name, keep):
    path = {"x.parquet": parquet, "x.npy": npy}[name](tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(ValueError, match=f"{name}' cannot be read as an? "):
        open_source(path)


def test_damaged_page_is_named(tmp_path):
    path = parquet(tmp_path / "x.parquet", compression="gzip")
    content = bytearray(path.read_bytes())
    content[50:3000] = bytes(2950)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x.parquet' cannot be read as a Parquet file"):
        read(open_source(path), 0, 1000, 100)


def test_damaged_chunk_is_named(tmp_path):
    path = zarr_array(tmp_path / "x.zarr", chunks=(500, 4))
    chunk = next(file for file in path.rglob("c/1/*") if file.is_file())
    chunk.write_bytes(b"no chunk")
    source = open_source(path)
    with pytest.raises(ValueError, match=r"x.zarr' cannot be read as a Zarr array"):
        read(source, 0, 1000, 100)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.ones(3), "shape \\(rows, features\\)"),
        (np.ones((3, 0)), "shape \\(rows, features\\)"),
        (np.array([["a"]]), "real numbers"),
        (np.array([[object()]]), "cannot be read as an NPY file"),
    ],
)
def test_arrays_of_no_rows_of_numbers_are_refused(tmp_path, array, match):
    with pytest.raises(ValueError, match=match):
        open_source(npy(tmp_path / "x.npy", array))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        open_source(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="a folder, not a Zarr array"):
        open_source(tmp_path)
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"must be a file .parquet or .npy"):
        open_source(tmp_path / "x.csv")


def test_identity_tells_writing(tmp_path):
    path = zarr_array(tmp_path / "x.zarr", chunks=(500, 4))
    before = identity(path)
    assert identity(path) == before
    chunk = next(path.rglob("c/1/0"))
    moment = chunk.stat().st_mtime_ns + 10**9  # a touch now may be in the same tick of the clock
    os.utime(chunk, ns=(moment, moment))
    assert identity(path) != before
