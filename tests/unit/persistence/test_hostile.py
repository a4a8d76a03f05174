"""Files that were damaged or forged: each ends in a BundleError, in little time and memory."""

import io
import json
import random
import struct
import tracemalloc
import zipfile
from copy import deepcopy

import numpy as np
import pytest

from soft_students import (
    KNeighborsStudentClassifier,
    LightGBMStudentClassifier,
    RandomForestStudentClassifier,
)
from soft_students.persistence import BundleError
from soft_students.students.files import dumps, load, loads
from tests.references import bundle_v1


@pytest.fixture
def arrays(centres):
    return {"centres": centres}


@pytest.fixture
def good(content, arrays):
    data = bundle_v1.bundle(content, arrays)
    loads(data)  # so that what is refused below is refused for the change alone
    return data


def members_of(content, arrays):
    arrays_bytes = bundle_v1.safetensors(arrays)
    header = bundle_v1.compact(bundle_v1.metadata(content, arrays_bytes))
    return [("metadata.json", header), ("arrays.safetensors", arrays_bytes)]


def test_a_file_cut_short_anywhere_is_refused(student):
    data = dumps(student)
    for length in range(len(data)):
        with pytest.raises(BundleError):
            loads(data[:length])


def test_a_flipped_byte_is_noticed_or_without_meaning(student):
    data = dumps(student)
    refused = 0
    for position in range(len(data)):
        for mask in (1 << random.Random(position).randrange(8), 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= mask
            try:
                again = loads(bytes(damaged))
            except BundleError:
                refused += 1
            else:
                # Some bytes of a zip archive are for other tools: dates, permissions.
                assert dumps(again) == data
    assert refused > 0.85 * 2 * len(data)


def test_bytes_before_or_after_the_archive_are_noticed(student):
    data = dumps(student)
    for damaged in (b"#!/bin/sh\n" + data, data + b"\n", data + data[:50]):
        with pytest.raises(BundleError):
            loads(damaged)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b"P", "not a soft-students bundle"),
        (b"PK\x03\x04", "its end is missing"),
        (b"PK\x03\x04" + bytes(5000), "its end is missing"),
        (bytes(5000), "not a soft-students bundle"),
        (b"PK\x05\x06" + bytes(18), "not a soft-students bundle"),
        (b'{"format": "soft-students bundle"}', "not a soft-students bundle"),
    ],
)
def test_other_files_are_refused(data, match):
    with pytest.raises(BundleError, match=match):
        loads(data)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "C:\\evil", "metadata.json/", "Metadata.json", "x" * 200]
)
def test_a_member_of_another_name_is_refused_and_not_unpacked(content, arrays, name, tmp_path):
    members = members_of(content, arrays)
    for forged in ([*members, (name, b"evil")], [members[0], (name, members[1][1])]):
        (tmp_path / "a").write_bytes(bundle_v1.archive(forged))
        with pytest.raises(BundleError, match=r"must hold metadata\.json and arrays\.safetensors"):
            load(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("which", [0, 1])
def test_a_member_that_is_there_twice_is_refused(content, arrays, which):
    members = members_of(content, arrays)
    with pytest.raises(BundleError, match="once each"):
        loads(bundle_v1.archive([*members, members[which]]))


def test_a_missing_member_is_named(content, arrays):
    members = members_of(content, arrays)
    with pytest.raises(BundleError, match="must hold"):
        loads(bundle_v1.archive(members[:1]))
    with pytest.raises(BundleError, match=r"without metadata\.json"):
        loads(bundle_v1.archive(members[1:]))


def test_an_archive_of_very_many_members_is_not_listed():
    data = bundle_v1.archive([(f"{i}", b"") for i in range(2000)])
    with pytest.raises(BundleError, match="too many members"):
        loads(data)


def test_a_second_directory_is_refused_since_it_would_overrule_the_one_that_was_checked(good):
    end = good[-22:]
    n_members, size, start = struct.unpack("<HLL", end[10:20])
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(good) - 22, 1)
    data = good[:-22] + record + locator + end
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # any zip tool reads it
        assert len(archive.namelist()) == n_members
    with pytest.raises(BundleError, match="its end is missing"):
        loads(data)


def test_metadata_larger_than_any_are_refused_before_they_are_parsed(content, arrays):
    members = members_of(content, arrays)
    padded = members[0][1] + b" " * 2**22
    with pytest.raises(BundleError, match=r"metadata\.json claims \d+ bytes, more than the limit"):
        loads(bundle_v1.archive([("metadata.json", padded), members[1]]))


@pytest.mark.parametrize("which", ["metadata.json", "arrays.safetensors"])
def test_a_zip_bomb_is_refused_before_it_unfolds(content, which):
    bomb = b"[" * 50_000_000 if which == "metadata.json" else bytes(50_000_000)
    members = members_of(content, {"centres": np.zeros((2, 1))})
    data = bundle_v1.archive(
        [(name, bomb if name == which else member) for name, member in members],
        compression=zipfile.ZIP_DEFLATED,
    )
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="is compressed"):
            loads(data)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def central_entry(data, member):
    """Where the archive's table of contents describes a member."""
    return data.rindex(b"PK\x01\x02", 0, data.rindex(member))


@pytest.mark.parametrize("size", [0, 10, 2**22 + 1, 2**31, 2**32 - 2, 2**32 - 1])
@pytest.mark.parametrize("member", [b"metadata.json", b"arrays.safetensors"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_lies_about_sizes_are_refused_in_little_memory(good, size, member, method):
    data = bytearray(good)
    entry = central_entry(good, member)
    struct.pack_into("<H", data, entry + 10, method)
    struct.pack_into("<LL", data, entry + 20, size, size)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError):
            loads(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flag", [0x1, 0x20, 0x40])
def test_encryption_and_patches_are_refused(good, flag):
    data = bytearray(good)
    for member in (b"metadata.json", b"arrays.safetensors"):
        entry = central_entry(good, member)
        data[entry + 8 : entry + 10] = struct.pack("<H", flag)
    with pytest.raises(BundleError):
        loads(bytes(data))


def test_a_sparse_file_of_many_gigabytes_is_not_read(tmp_path, good):
    with (tmp_path / "a").open("wb") as file:
        file.write(good)
        file.truncate(2**33)
    with pytest.raises(BundleError, match="a bundle has at most"):
        load(tmp_path / "a")


@pytest.mark.parametrize(
    ("version", "match"),
    [
        (2, r"newer soft-students, in format 2; .*pip install --upgrade"),
        (10**30, "newer"),
        (0, "does not exist"),
        (-1, "does not exist"),
        (True, "does not exist"),
        ("1", "does not exist"),
        (1.0, "does not exist"),
        (None, "does not exist"),
        ([1], "does not exist"),
    ],
)
def test_a_format_of_another_version_is_refused(content, arrays, version, match):
    with pytest.raises(BundleError, match=match):
        loads(bundle_v1.bundle(content, arrays, format_version=version))


def test_a_newer_format_is_told_even_if_everything_else_is_different():
    header = json.dumps({"format": "soft-students bundle", "format_version": 3}).encode()
    data = bundle_v1.archive([("metadata.json", header), ("weights.bin", b""), ("more", b"")])
    with pytest.raises(BundleError, match="newer"):
        loads(data)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"format": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format": "soft-students bundle", "format_version": 1' + b"1" * 5000 + b"}",
        b'{"format": "soft-students bundle", "format_version": 1}',
        b'{"format": "soft-students bundle", "format_version": 1, "content": []}',
        b'{"format": "soft-students bundle", "format_version": 1, "content": 1e999}',
    ],
    ids=lambda header: header[:60].decode("latin1"),
)
def test_metadata_that_are_not_ours_are_refused(header):
    with pytest.raises(BundleError):
        loads(bundle_v1.archive([("metadata.json", header), ("arrays.safetensors", b"")]))


@pytest.mark.parametrize("key", ["student", "class", "params", "fitted", "written_by"])
@pytest.mark.parametrize("value", [None, 3, "text", [], {}])
def test_content_of_another_type_is_refused(content, arrays, key, value):
    if isinstance(value, type(content[key])) and key == "written_by":
        return
    if key == "params" and value == {}:
        return  # all parameters take their defaults
    with pytest.raises(BundleError):
        loads(bundle_v1.bundle(content | {key: value}, arrays))


@pytest.mark.parametrize("key", ["student", "class", "params", "fitted", "written_by"])
def test_missing_content_is_refused(content, arrays, key):
    del content[key]
    with pytest.raises(BundleError, match="incomplete"):
        loads(bundle_v1.bundle(content, arrays))


def test_infinite_and_deep_metadata_with_a_valid_shape_are_refused(content, arrays):
    deep = 1
    for _ in range(900):
        deep = [deep]
    with pytest.raises(BundleError):
        loads(bundle_v1.bundle(content | {"params": {"power": deep}}, arrays))
    arrays_bytes = bundle_v1.safetensors(arrays)
    text = bundle_v1.compact(bundle_v1.metadata(content, arrays_bytes))
    text = text.replace(b'"power":1', b'"power":1e999')
    members = [("metadata.json", text), ("arrays.safetensors", arrays_bytes)]
    with pytest.raises(BundleError):
        loads(bundle_v1.archive(members))


@pytest.mark.parametrize("what", ["metadata.json", "arrays.safetensors"])
def test_an_edited_bundle_is_noticed_by_its_checksum(content, arrays, what):
    honest = bundle_v1.metadata(content, bundle_v1.safetensors(arrays))
    if what == "metadata.json":
        honest = deepcopy(honest)
        honest["content"]["params"]["power"] = 3
    else:
        arrays = {"centres": arrays["centres"] + 1}
    members = [
        ("metadata.json", bundle_v1.compact(honest)),
        ("arrays.safetensors", bundle_v1.safetensors(arrays)),
    ]
    with pytest.raises(BundleError, match=f"the checksum of {what} does not match"):
        loads(bundle_v1.archive(members))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"student": "os"}, "holds a 'NearestCentre' of the student 'os'"),
        ({"class": "system"}, "holds a 'system' of the student 'centre'"),
        ({"params": {"power": 1, "colour": "red"}}, "has no parameter 'colour'"),
        ({"params": {"power": "one"}}, "The 'power' parameter of NearestCentre must be"),
        ({"params": {"power": {"__import__": "os"}}}, "unknown kind of value"),
        ({"fitted": {}}, "do not make a NearestCentre"),
        ({"fitted": {"classes": "text"}}, "do not make a NearestCentre"),
        ({"fitted": {"classes": {"__array__": {"dtype": "int8", "values": [1]}}}}, "2, 1"),
        ({"fitted": {"classes": {"__array__": {"dtype": "int8", "values": [7, 3]}}}}, "not sorted"),
        ({"fitted": {"classes": {"__array__": {"dtype": "int8", "values": [3, 3]}}}}, "not sorted"),
        (
            {"fitted": {"classes": {"__array__": {"dtype": "str", "values": ["yes", "no"]}}}},
            "not sorted",
        ),
        (
            {
                "fitted": {
                    "classes": {
                        "__array__": {"dtype": "float64", "values": [1.0, {"__float__": "nan"}]}
                    }
                }
            },
            "not finite",
        ),
        ({"fitted": {"classes": [], "how": [{"at": {"__float__": "inf"}}]}}, "not finite"),
        ({"params": {"checkpoint": "/home/reader/notes.txt"}}, "contain 'checkpoint'"),
        ({"params": {"resume": True, "power": 1}}, "contain 'resume'"),
        ({"params": {"snapshots": "pictures"}}, "contain 'snapshots'"),
        (
            {"params": {"transfer": {"__object__": "Munge", "params": {"local_variance": -1.0}}}},
            "'local_variance' parameter of Munge",
        ),
    ],
)
def test_a_forged_student_is_refused(content, arrays, change, match):
    with pytest.raises(BundleError, match=match):
        loads(bundle_v1.bundle(content | change, arrays))


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({}, "do not make a NearestCentre"),
        ({"centres": np.zeros(2)}, r"centres have shape \(2,\)"),
        ({"centres": np.zeros((3, 1))}, r"centres have shape \(3, 1\) for 2 classes"),
        ({"centres": np.array([[0.0], [np.nan]])}, "'centres' holds NaN or infinity"),
        ({"centres": np.array([[0.0], [-np.inf]], dtype=np.float32)}, "holds NaN or infinity"),
        ({"centres": np.array([[0], [2]], dtype=np.uint8).view(bool)}, "neither 0 nor 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(content, arrays, match):
    with pytest.raises(BundleError, match=match):
        loads(bundle_v1.bundle(content, arrays))


def entry(dtype="F64", shape=(2, 1), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "header",
    [
        {"centres": entry(offsets=(0, 8))},
        {"centres": entry(offsets=(0, 10**15))},
        {"centres": entry(offsets=(16, 0))},
        {"centres": entry(offsets=(-16, 0))},
        {"centres": entry(shape=(2**40, 2**40))},
        {"centres": entry(shape=(2, -1))},
        {"centres": entry(shape=(0, 2**62), offsets=(0, 0))},
        {"centres": entry(dtype="BF16", shape=(8,))},
        {"centres": entry(dtype="F8_E4M3", shape=(16,))},
        {"centres": entry(dtype="C64", shape=(2, 1))},
        {"centres": entry(dtype="O")},
        {"centres": entry(), "centres2": entry()},
        {"centres": entry(dtype="F32")},
        {"centres": []},
        {"centres": {}},
        {"__metadata__": {"a": 1}},
        [],
        None,
    ],
    ids=str,
)
def test_headers_of_arrays_that_lie_are_refused(content, centres, header):
    arrays = bundle_v1.safetensors({"centres": centres}, header=header)
    if header is None:
        arrays = struct.pack("<Q", 4) + b"null" + centres.tobytes()
    with pytest.raises(BundleError):
        loads(bundle_v1.bundle(content, arrays))


@pytest.mark.parametrize("length", [2**20 + 1, 2**31, 2**63, 2**64 - 1])
def test_a_huge_header_of_arrays_is_refused_by_its_claim(content, length):
    with pytest.raises(BundleError, match=f"claims {length} bytes, too many"):
        loads(bundle_v1.bundle(content, struct.pack("<Q", length) + b"{}"))


@pytest.mark.parametrize("arrays", [b"", b"\x00", struct.pack("<Q", 100) + b"{}"])
def test_arrays_cut_short_are_refused_even_with_a_matching_checksum(content, arrays):
    with pytest.raises(BundleError):
        loads(bundle_v1.bundle(content, arrays))


@pytest.mark.parametrize(
    "params", [{"__tuple__": []}, {"__array__": {"dtype": "int8", "values": []}}]
)
def test_parameters_that_are_no_object_are_refused(content, arrays, params):
    kept = {"__object__": "NoiseTransfer", "params": params}
    for forged in (params, {"transfer": kept}):
        with pytest.raises(BundleError):
            loads(bundle_v1.bundle(content | {"params": forged}, arrays))


def content_of(student):
    with zipfile.ZipFile(io.BytesIO(dumps(student))) as archive:
        content = json.loads(archive.read("metadata.json"))["content"]
    content.pop("arrays_sha256")
    return content


@pytest.mark.parametrize("n_jobs", [10**6, True])
def test_a_student_asks_for_no_thousands_of_threads(X, n_jobs):
    student = KNeighborsStudentClassifier(n_jobs=1).fit(X, np.repeat([0, 1, 2], 10))
    content, arrays = content_of(student), student._bundle_state()[1]
    loads(bundle_v1.bundle(content, arrays))
    content["params"]["n_jobs"] = n_jobs
    with pytest.raises(BundleError, match="n_jobs is"):
        loads(bundle_v1.bundle(content, arrays))


@pytest.mark.parametrize("cls", [LightGBMStudentClassifier, KNeighborsStudentClassifier])
def test_billions_of_features_are_refused_before_their_names_are_made(X, cls):
    student = cls().fit(X, np.repeat([0, 1, 2], 10))
    content, arrays = content_of(student), student._bundle_state()[1]
    for n_features in (2**31 - 1, 2**24):
        content["fitted"]["n_features"] = n_features
        tracemalloc.start()
        try:
            with pytest.raises(BundleError):
                loads(bundle_v1.bundle(content, arrays))
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("student", "parameter", "value"),
    [
        (RandomForestStudentClassifier(n_estimators=2), "n_estimators", 10**30),
        (KNeighborsStudentClassifier(n_neighbors=1), "n_neighbors", True),
    ],
)
def test_a_changed_number_does_not_break_predictions(X, student, parameter, value):
    student = student.fit(X, np.repeat([0, 1, 2], 10))
    content, arrays = content_of(student), student._bundle_state()[1]
    content["params"][parameter] = value
    forged = loads(bundle_v1.bundle(content, arrays))
    np.testing.assert_array_equal(forged.predict_proba(X), student.predict_proba(X))
