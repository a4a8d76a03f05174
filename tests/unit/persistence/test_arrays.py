"""NPY and NPZ files whose headers and sizes lie."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from soft_students.persistence.arrays import open_npz, read_npy


def npy(header, body=b"", version=1):
    text = header if isinstance(header, bytes) else repr(header).encode()
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def header(descr="<f8", shape=(2,), order=False):
    return {"descr": descr, "fortran_order": order, "shape": shape}


def read(data):
    tracemalloc.start()
    try:
        return read_npy(io.BytesIO(data), len(data))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10_000_000


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", [False, True])
def test_arrays_are_read(version, order):
    array = np.arange(6.0).reshape(2, 3)
    body = array.tobytes("F" if order else "C")
    again = read(npy(header(shape=(2, 3), order=order), body, version))
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no NPY"),
        (b"PK", "no NPY"),
        (b"\x80\x04N.", "no NPY"),
        (npy(header(), bytes(15)), "more than it holds|damaged"),
        (npy(header(shape=(10**12,)), bytes(16)), "more than it holds"),
        (npy(header(shape=(2**40, 2**40)), bytes(16)), "more than it holds"),
        (npy(header(shape=(10**30,)), bytes(16)), "more than it holds"),
        (npy(header(shape=(-2, -1)), bytes(16)), "more than it holds"),
        (npy(header(shape=(0, 2**62)), b""), "damaged"),
        (npy(header("|S0", shape=(10**9,)), b""), "more than it holds"),
        (npy(header("<U100000000"), bytes(16)), "more than it holds"),
        (npy(header("|O"), bytes(16)), "Python objects"),
        (npy(header([("a", "|O")]), bytes(16)), "Python objects"),
        (npy(header("f8f8"), bytes(16)), "header is damaged"),
        (npy(header(shape="x"), bytes(16)), "header is damaged"),
        (npy({}, bytes(16)), "header is damaged"),
        (npy(b"(" * 9000), "header is damaged"),
        (npy(b"-" * 9000), "header is damaged"),
        (npy(b"{" * 60000), "header is damaged"),
        (npy(b"__import__('os').system('true')"), "header is damaged"),
        (npy(header(), bytes(16), version=9), "no NPY|damaged"),
    ],
)  # fmt: skip
def test_headers_that_lie_are_refused_in_little_memory(data, match):
    with pytest.raises(ValueError, match=match):
        read(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_characters_that_do_not_exist_are_refused(order):
    assert (
        read(npy(header(f"{order}U1"), "aé".encode("utf-32" + {"<": "le", ">": "be"}[order])))[1]
        == "é"
    )
    with pytest.raises(ValueError, match="invalid characters"):
        read(npy(header(f"{order}U1"), b"\xff" * 8))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def test_the_arrays_of_an_archive_are_read_by_name(path):
    np.savez_compressed(path, a=np.arange(3), b=np.array(["x"]))
    with open_npz(path) as arrays:
        assert arrays.names == ["a", "b"]
        assert arrays["a"].tolist() == [0, 1, 2]
        with pytest.raises(KeyError):
            arrays["c"]


def test_a_bomb_is_refused_before_it_unfolds(path):
    np.savez_compressed(path, X=np.zeros(10**7))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unpacks from"), open_npz(path):
            pass
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_there_twice_are_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("X.npy", b"")
    with pytest.raises(ValueError, match="same name"), open_npz(path):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_damaged_in_any_packing_are_refused(path, method):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("X.npy", npy(header(shape=(200,)), bytes(range(200)) * 8))
    data = bytearray(path.read_bytes())
    data[50:90] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"), open_npz(path) as arrays:
        arrays["X"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"text", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_is_refused(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError, match="no NPZ archive"), open_npz(path):
        pass
