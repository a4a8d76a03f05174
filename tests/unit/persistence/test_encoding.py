"""Values that go through JSON come back as they were, or are refused by name."""

import json
import math

import numpy as np
import pytest

from soft_students.persistence import BundleError
from soft_students.persistence.encoding import build, decode, encode
from soft_students.transfer import ImageDistortion

KEPT = {"ImageDistortion": ImageDistortion}.get


def through_json(value):
    return decode(json.loads(json.dumps(encode(value, "It", KEPT), allow_nan=False)), KEPT)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        2**70,
        0.1,
        5e-324,
        math.inf,
        -math.inf,
        "",
        "naïve \ud800 \x00",
        [],
        [1, [2.5, None]],
        (),
        (28, 28),
        ((1, 2), [3, (4,)]),
        {},
        {"a": {"b": (1,)}, "": 0},
    ],
    ids=repr,
)
def test_a_value_comes_back_equal_and_of_its_type(value):
    again = through_json(value)
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)  # types inside, too


def test_nan_comes_back():
    assert math.isnan(through_json([math.nan])[0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.float32(0.5), 0.5), (np.int8(-4), -4), (np.bool_(True), True), (np.str_("a"), "a")],
)
def test_a_numpy_scalar_comes_back_as_pythons(value, expected):
    again = through_json(value)
    assert again == expected
    assert type(again) is type(expected)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["ant", "bee"]),
        np.array(["a", "bb"], dtype=object),
        np.array([3, 1, 2**62]),
        np.array([1, 2], dtype=np.uint8),
        np.array([True, False]),
        np.array([0.1, np.inf], dtype=np.float64),
        np.array([0.1], dtype=np.float32),
        np.array([], dtype="U1"),
    ],
    ids=lambda array: f"{array.dtype}",
)
def test_an_array_of_labels_comes_back_with_its_dtype(array):
    again = through_json(array)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_a_transfer_object_comes_back_with_its_parameters():
    again = through_json(ImageDistortion(image_shape=(8, 8), rotation=3.0))
    assert type(again) is ImageDistortion
    assert again.get_params() == ImageDistortion(image_shape=(8, 8), rotation=3.0).get_params()


@pytest.mark.parametrize("random", [np.random.RandomState(0), np.random.default_rng(0)])
def test_a_random_generator_is_dropped_and_that_is_written_down(random):
    assert encode(random, "It", KEPT) == {"__dropped__": type(random).__name__}
    assert through_json({"random_state": random}) == {"random_state": None}


def _self_containing():
    value = []
    value.append(value)
    return value


class _Int(int):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        {1: "key that is no str"},
        {"__tuple__": "that looks like ours"},
        {1, 2},
        1j,
        b"bytes",
        _Int(3),
        np.array([["two", "dimensions"]]),
        np.array([1j]),
        np.array([1, "mixed"], dtype=object),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        _self_containing(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_other_value_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"^The 'power' parameter of Student"):
        encode([value], "The 'power' parameter of Student", KEPT)


def test_the_refusal_shows_the_way_out():
    with pytest.raises(TypeError, match=r"Got .* of type object instead\. joblib\.dump"):
        encode(object(), "It", KEPT)


@pytest.mark.parametrize(
    "value",
    [
        {"__tuple__": 3},
        {"__tuple__": [], "more": 1},
        {"__float__": "1"},
        {"__float__": 1},
        {"__reduce__": ["os.system", "true"]},
        {"__object__": "os.system", "params": {}},
        {"__object__": "ImageDistortion", "params": {"colour": 1}},
        {"__object__": "ImageDistortion", "params": []},
        {"__object__": "ImageDistortion"},
        {"__dropped__": 1},
        {"__array__": {"dtype": "O", "values": [1]}},
        {"__array__": {"dtype": "object", "values": [{}]}},
        {"__array__": {"dtype": "int64", "values": ["1"]}},
        {"__array__": {"dtype": "int64", "values": [1.5]}},
        {"__array__": {"dtype": "int64", "values": [True]}},
        {"__array__": {"dtype": "int8", "values": [1000]}},
        {"__array__": {"dtype": "int64", "values": [2**64]}},
        {"__array__": {"dtype": "float64", "values": [[1.0]]}},
        {"__array__": {"dtype": "<U999999999", "values": ["a"]}},
        {"__array__": {"dtype": "str", "values": [1]}},
        {"__array__": {"dtype": "str"}},
        {"__array__": []},
    ],
    ids=repr,
)
def test_what_encode_cannot_have_made_is_refused(value):
    with pytest.raises(BundleError):
        decode([value], KEPT)


def test_labels_of_very_unequal_length_do_not_fill_the_memory():
    # numpy gives each label the room of the longest: here 80 GB.
    values = ["a" * 1_000_000] + ["b"] * 20_000
    with pytest.raises(BundleError, match="labels that are too long"):
        decode({"__array__": {"dtype": "str", "values": values}}, KEPT)


def test_deep_nesting_is_refused():
    value = 1
    for _ in range(500):
        value = [value]
    with pytest.raises(BundleError, match="nested too deeply"):
        decode(value, KEPT)


def test_build_keeps_defaults_for_parameters_of_the_future():
    assert build(ImageDistortion, {"shear": 0.5}).rotation == ImageDistortion().rotation


def test_build_refuses_a_parameter_that_the_class_lacks():
    with pytest.raises(BundleError, match=r"ImageDistortion has no parameter 'hue'.*upgrade"):
        build(ImageDistortion, {"hue": 0.5})
