"""IDX files: whatever is written is read back, and no damage goes unnoticed."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soft_students.datasets.idx import idx_sha256, read_idx, write_idx

idx_arrays = arrays.arrays(
    np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
)


def written(array):
    file = io.BytesIO()
    write_idx(file, array)
    return file.getvalue()


@given(array=idx_arrays)
def test_reading_gives_back_what_was_written(array):
    again = read_idx(io.BytesIO(written(array)), max_bytes=array.size)
    assert again.dtype == np.uint8
    assert again.shape == array.shape
    np.testing.assert_array_equal(again, array)


@given(array=idx_arrays, data=st.data())
def test_a_file_cut_anywhere_is_refused(array, data):
    content = written(array)
    end = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match="ends within"):
        read_idx(io.BytesIO(content[:end]), max_bytes=1000)


@given(array=idx_arrays, data=st.data())
def test_a_changed_byte_is_refused_or_changes_the_sum(array, data):
    content = bytearray(written(array))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = read_idx(io.BytesIO(content), max_bytes=1000)
    except ValueError:
        return
    assert idx_sha256(changed) != idx_sha256(array)


@given(content=st.binary(max_size=60) | st.binary(max_size=30).map(lambda b: b"\0\0\x08" + b))
def test_arbitrary_bytes_are_read_exactly_or_refused(content):
    try:
        array = read_idx(io.BytesIO(content), max_bytes=1000)
    except ValueError:
        return
    assert written(array) == content
