"""Whatever happens to the bytes of a bundle: the same student, or a BundleError."""

import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from soft_students.persistence import BundleError
from soft_students.persistence.encoding import decode, encode
from soft_students.students import SoftDecisionTreeClassifier
from soft_students.students.files import dumps, loads
from tests.references import bundle_v1


@functools.cache
def student():
    X = np.random.default_rng(0).normal(size=(12, 2))
    return SoftDecisionTreeClassifier(depth=1, epochs=1, random_state=0).fit(X, [*"aabbcc"] * 2)


@functools.cache
def bundle():
    return dumps(student())


positions = st.integers(min_value=0, max_value=10**6)
edits = st.tuples(positions, st.integers(min_value=0, max_value=12), st.binary(max_size=12))


def edit(data, changes):
    """Replace, at each position, some bytes by others: flips, cuts and insertions."""
    for position, n_removed, inserted in changes:
        start = position % (len(data) + 1)
        data = data[:start] + inserted + data[start + n_removed :]
    return data


def loads_the_same_or_refuses(data):
    try:
        again = loads(data)
    except BundleError:
        return
    assert dumps(again) == bundle()


@settings(max_examples=300, deadline=10_000)
@given(st.lists(edits, min_size=1, max_size=5))
def test_edited_bytes(changes):
    loads_the_same_or_refuses(edit(bundle(), changes))


@settings(max_examples=100, deadline=10_000)
@given(positions, positions, positions)
def test_spliced_bytes(start, stop, place):
    data = bundle()
    start, stop, place = (position % (len(data) + 1) for position in (start, stop, place))
    loads_the_same_or_refuses(data[:place] + data[start:stop] + data[place:])


@settings(max_examples=100, deadline=10_000)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x80\x04"]))
def test_bytes_of_any_kind(data, start):
    loads_the_same_or_refuses(start + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["__tuple__", "__float__", "__array__", "__object__", "params", "dtype"]
            )
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=10_000)
@given(
    st.sampled_from(["student", "class", "params", "fitted", "written_by"]),
    st.sampled_from([None, "depth", "transfer", "classes", "temperature", "n_features"]),
    json_values,
)
def test_forged_metadata_with_valid_checksums(key, inner_key, value):
    """Such a file may be a student, another one; if not, that is a BundleError."""
    content = {
        "student": "soft_tree",
        "class": "SoftDecisionTreeClassifier",
        "params": {"depth": 1},
        "fitted": {
            "classes": {"__array__": {"dtype": "str", "values": ["a", "b", "c"]}},
            "temperature": 1.0,
            "n_features": 2,
            "n_iter": 1,
        },
        "written_by": {},
    }
    if inner_key is not None and isinstance(content[key], dict):
        content[key][inner_key] = value
    else:
        content[key] = value
    arrays = student()._bundle_state()[1]
    try:
        again = loads(bundle_v1.bundle(content, arrays))
    except BundleError:
        return
    assert isinstance(again, SoftDecisionTreeClassifier)
    assert again.predict(np.zeros((1, 2))).shape == (1,)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4).filter(lambda key: key[:2] != "__"), inner)
    ),
    max_leaves=8,
)


@given(plain_values)
def test_encoded_values_come_back(value):
    none_of_ours = {}.get
    again = decode(encode(value, "It", none_of_ours), none_of_ours)
    assert again == value
    assert repr(again) == repr(value)
