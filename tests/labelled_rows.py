"""Rows in files and a teacher of them, for tests of labelled parts and of Dask; read-only."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from distributed import Client, LocalCluster

from soft_students.teachers import save_teacher, train_teacher

N_FEATURES = 6
NAMES = [f"f{i}" for i in range(N_FEATURES)]


def make_rows(n, seed=0):
    X = np.random.RandomState(seed).normal(size=(n, N_FEATURES)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 1)


@pytest.fixture(scope="session")
def write_table():
    """Return a function that writes rows of features f0, ..., f5 and of labels y."""

    def write(path, X, y=None, names=NAMES):
        columns = {name: X[:, i] for i, name in enumerate(names)}
        pq.write_table(pa.table(columns if y is None else {"y": y, **columns}), path, 300)

    return write


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory):
    """Return the path of a small teacher of three classes."""
    X, y = make_rows(500)
    path = tmp_path_factory.mktemp("teacher") / "t.pt"
    save_teacher(train_teacher(X, y, arch="mlp", epochs=1, random_state=0), path)
    return path


@pytest.fixture
def big(tmp_path, write_table):
    """Return a folder of three Parquet files of 700 rows, in row groups of 300."""
    folder = tmp_path / "big"
    folder.mkdir()
    for i in range(3):
        write_table(folder / f"p{i}.parquet", *make_rows(700, seed=i))
    return folder


@pytest.fixture(scope="session")
def worker_threads():
    """Return a client of two workers that are threads of this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def write_array():
    """Return a function that writes an NPY file, or a Zarr array in chunks of 500 rows."""

    def write(path, X):
        if path.suffix == ".npy":
            np.save(path, X)
        else:
            zarr.create_array(path, shape=X.shape, chunks=(500, 6), dtype=X.dtype)[:] = X
        return path

    return write


@pytest.fixture(scope="module")
def client():
    """Return the current client, of two workers that are threads of this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
