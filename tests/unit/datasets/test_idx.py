"""Reading and writing IDX: exact, strict and bounded."""

import gzip
import hashlib
import io
import struct

import numpy as np
import pytest

from soft_students.datasets.idx import idx_sha256, read_idx, read_idx_file, write_idx

# Two images of 1 x 3 pixels, byte by byte.
TWO_IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 250, 251, 252])
TWO_IMAGES_ARRAY = np.array([[[1, 2, 3]], [[250, 251, 252]]], dtype=np.uint8)


def test_bytes_become_the_array_they_describe():
    array = read_idx(io.BytesIO(TWO_IMAGES), max_bytes=6)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, TWO_IMAGES_ARRAY)


def test_an_array_becomes_the_bytes_of_the_format():
    file = io.BytesIO()
    write_idx(file, TWO_IMAGES_ARRAY)
    assert file.getvalue() == TWO_IMAGES


def test_the_sum_is_that_of_the_file():
    assert idx_sha256(TWO_IMAGES_ARRAY) == hashlib.sha256(TWO_IMAGES).hexdigest()


def test_the_sum_does_not_depend_on_the_memory_layout():
    reversed_twice = np.asfortranarray(TWO_IMAGES_ARRAY[::-1])[::-1]
    assert idx_sha256(reversed_twice) == hashlib.sha256(TWO_IMAGES).hexdigest()


def test_arrays_without_values_are_read_and_written():
    file = io.BytesIO()
    write_idx(file, np.empty((0, 28, 28), dtype=np.uint8))
    file.seek(0)
    assert read_idx(file, max_bytes=0).shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends within its header: it has 0 of 4 bytes"),
        (b"\x00\x00\x08", "ends within its header"),
        (TWO_IMAGES[:9], "ends within its header"),
        (TWO_IMAGES[:-1], "ends within its values: it has 5 of 6 bytes"),
        (TWO_IMAGES + b"\x00", "has data after the 6 values"),
        (b"PK\x03\x04" + TWO_IMAGES, "not an IDX file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00\x00\x00\x00", "unsigned bytes .* got type 0x0d"),
        (b"\x00\x00\x08\x00", "1 to 4 dimensions; got 0"),
        (b"\x00\x00\x08\xff" + b"\x00\x00\x00\x01" * 255, "1 to 4 dimensions; got 255"),
    ],
)
def test_files_that_are_not_exactly_idx_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_idx(io.BytesIO(content), max_bytes=1000)


def test_claimed_sizes_are_refused_before_memory_is_taken():
    claim = b"\x00\x00\x08\x04" + struct.pack(">4I", *[2**32 - 1] * 4)
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        read_idx(io.BytesIO(claim), max_bytes=1000)


def test_one_byte_more_than_allowed_is_refused():
    with pytest.raises(ValueError, match="more than 5 bytes"):
        read_idx(io.BytesIO(TWO_IMAGES), max_bytes=5)


@pytest.mark.parametrize("array", [np.zeros(3), np.uint8(3), np.zeros((1,) * 5, dtype=np.uint8)])
def test_arrays_that_idx_cannot_hold_are_refused(array):
    with pytest.raises(ValueError, match="uint8 array of 1 to 4 dimensions"):
        write_idx(io.BytesIO(), array)


@pytest.mark.parametrize("name", ["images", "images.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_packing_is_told_by_the_content_not_by_the_name(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(TWO_IMAGES))
    np.testing.assert_array_equal(read_idx_file(path, max_bytes=6), TWO_IMAGES_ARRAY)


class _Counted(gzip.GzipFile):
    unpacked = 0

    def readinto(self, buffer):
        count = super().readinto(buffer)
        _Counted.unpacked += count
        return count

    def read(self, size=-1):
        data = super().read(size)
        _Counted.unpacked += len(data)
        return data


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (TWO_IMAGES, "has data after"),
        (b"\x00\x00\x08\x01" + struct.pack(">I", 50_000_000), "more than 1000 bytes"),
    ],
)
def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch, head, message):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(head + bytes(50_000_000), compresslevel=1))
    _Counted.unpacked = 0
    monkeypatch.setattr(gzip, "GzipFile", _Counted)
    with pytest.raises(ValueError, match=message):
        read_idx_file(path, max_bytes=1000)
    assert 0 < _Counted.unpacked < 2000


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],  # cut off
        lambda packed: packed[:-8] + b"\x00\x00\x00\x00" + packed[-4:],  # wrong CRC
        lambda packed: packed[:10] + b"\xff" * 10 + packed[20:],  # not deflate
    ],
)
def test_damaged_gzip_files_are_refused_by_name(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(TWO_IMAGES)))
    with pytest.raises(ValueError, match=r"images\.gz' cannot be unpacked"):
        read_idx_file(path, max_bytes=1000)


def test_other_errors_name_the_file(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(TWO_IMAGES[:-1])
    with pytest.raises(ValueError, match=r"images' cannot be read: it ends within"):
        read_idx_file(path, max_bytes=1000)
