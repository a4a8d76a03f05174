import json
import math

import numpy as np
import pytest

from soft_students.persistence.digests import file_sha256
from soft_students.persistence.plain_json import json_text, write_json


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: (1.5, math.nan), "b": [math.inf, -math.inf]}, {"1": [1.5, None], "b": [None, None]}),
        ([np.float32(0.5), np.int64(3), np.bool_(True), np.float64("nan")], [0.5, 3, True, None]),
        ([True, None, "größer", 2], [True, None, "größer", 2]),
        (np.float32("inf"), None),
    ],
)
def test_what_every_reader_takes(value, expected):
    text = json_text(value)
    assert text.isascii()
    assert json.loads(text) == expected


def test_other_values_are_refused_and_no_file_is_left(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"accuracy": np.float64(0.75)})
    assert json.loads(path.read_text()) == {"accuracy": 0.75}
    with pytest.raises(TypeError, match="ndarray"):
        write_json(path, {"accuracy": np.zeros(2)})
    assert json.loads(path.read_text()) == {"accuracy": 0.75}
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]


def test_the_checksum_of_a_file_is_the_published_one(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
