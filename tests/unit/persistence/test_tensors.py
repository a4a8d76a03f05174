"""Files of torch.save out of strangers' hands: torch's own reader dies, hangs or swells on most."""

import io
import pickle
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from soft_students.persistence import BundleError, tensors
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.persistence.tensors import PickledObjectsError, load_tensors


def archive(program, path, members=(), method=zipfile.ZIP_STORED):
    """Write what torch.save would, with another program in its pickle."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in [("a/data.pkl", program), ("a/version", b"3\n"), *members]:
            packed.writestr(name, data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pt"


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_plain_values_come_back(path, zipped):
    linear = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(linear.parameters())
    linear(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    value = {
        "state": linear.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameter": linear.weight,
        "view": torch.arange(10)[2:5],
        "types": [torch.zeros(2, dtype=kind) for kind in (torch.bool, torch.int8, torch.bfloat16)],
        "plain": [None, True, 1, 2**70, -1.5, "text", (1, (2, 3)), {"a": []}],
    }
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    again = load_tensors(path)
    assert again["plain"] == value["plain"]
    assert again["view"].tolist() == [2, 3, 4]
    assert [t.dtype for t in again["types"]] == [t.dtype for t in value["types"]]
    torch.testing.assert_close(again["state"]["weight"], linear.state_dict()["weight"])
    torch.testing.assert_close(again["optimizer"]["state"], value["optimizer"]["state"])


def test_a_tuple_nested_as_deeply_as_ends_the_process_is_refused(path):
    archive(b"\x80\x02})" + b"\x85" * 2_000_000 + b"K\x01s.", path)
    with pytest.raises(BundleError, match="nested too deeply"):
        load_tensors(path)


def test_a_tuple_that_would_be_hashed_for_ever_is_refused(path):
    doubled = b"".join(b"h\x00h\x00\x86q\x00" for _ in range(60))
    archive(b"\x80\x02})q\x00" + doubled + b"K\x01s.", path)
    with pytest.raises(BundleError, match="too many values"):
        load_tensors(path)


def numbers(values):
    """Return the program of a dictionary with these numbers as keys."""
    each = [value.to_bytes(value.bit_length() // 8 + 1, "little") for value in values]
    keys = [b"\x8a" + bytes([len(data)]) + data + b"N" for data in each]
    # several batches, as pickle itself writes long dictionaries
    return b"\x80\x02}" + b"".join(b"(" + key + b"u" for key in keys) + b"."


def test_keys_with_equal_hashes_are_refused_by_their_number(path):
    """Each is compared with all before it: 100,000 of them took a minute."""
    archive(numbers(sys.hash_info.modulus * i for i in range(1, 1001)), path)
    assert len(load_tensors(path)) == 1000
    archive(numbers(sys.hash_info.modulus * i for i in range(1, 1002)), path)
    with pytest.raises(BundleError, match="too many tuples or large numbers"):
        load_tensors(path)
    archive(numbers(range(2000)), path)
    assert len(load_tensors(path)) == 2000


def test_tuples_as_keys_are_refused_by_their_number(path):
    torch.save({(i,): i for i in range(1000)}, path)
    assert len(load_tensors(path)) == 1000
    torch.save({(i,): i for i in range(1001)}, path)
    with pytest.raises(BundleError, match="too many tuples or large numbers"):
        load_tensors(path)


@pytest.mark.parametrize(
    ("n", "is_read"), [(tensors._MAX_TUPLE - 1, True), (tensors._MAX_TUPLE, False)]
)
def test_a_tuple_holds_so_many_values_at_most(path, n, is_read):
    archive(b"\x80\x02(" + b"N" * n + b"t.", path)
    if is_read:
        assert load_tensors(path) == (None,) * n
    else:
        with pytest.raises(BundleError, match="too many values"):
            load_tensors(path)


def test_bytes_around_an_archive_are_refused(path):
    """Which of them is read depends on the reader."""
    torch.save({"a": 1}, path)
    data = path.read_bytes()
    assert load_tensors(path) == {"a": 1}
    for forged in (data + data, b"PK\x03\x04" + bytes(60) + data, data + b"\x00"):
        path.write_bytes(forged)
        with pytest.raises(BundleError, match=r"not an archive of torch|damaged"):
            load_tensors(path)


def test_a_list_that_would_be_shown_for_ever_is_refused(path):
    laughs = [0]
    for _ in range(60):
        laughs = [laughs, laughs]
    torch.save({"format": laughs}, path)
    with pytest.raises(BundleError, match="too many values"):
        load_tensors(path)


def test_a_value_in_itself_is_refused(path):
    loop = []
    loop.append(loop)
    torch.save({"a": loop}, path)
    with pytest.raises(BundleError, match="contains itself"):
        load_tensors(path)


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"\x80\x02c__builtin__\neval\n.",
        b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.",
        b"\x80\x02ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02ctorch.storage\nUntypedStorage\nJ\xff\xff\xff\x7f\x85\x81.",
        b"\x80\x02}}b.",
        b"\x80\x04\x95" + bytes(8) + b".",
        b"\x80\x020.",
    ],
)
def test_calls_of_anything_else_need_trust(path, program):
    archive(program, path)
    tracemalloc.start()
    try:
        with pytest.raises(PickledObjectsError, match="pickled objects"):
            load_tensors(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def program_of(tensor):
    file = io.BytesIO()
    torch.save(tensor, file)
    with zipfile.ZipFile(file) as packed:
        root = packed.namelist()[0].partition("/")[0]
        return packed.read(f"{root}/data.pkl")


@pytest.mark.parametrize("claim", [b"J\x00\x00\x00\x10", b"K\x05", b"J\xff\xff\xff\xff"])
def test_storage_that_is_not_there_is_refused(path, claim):
    """Older versions of torch read on in memory, past the bytes of the file."""
    program = program_of(torch.arange(4.0))
    place = program.index(b"K\x04", program.index(b"cpu"))
    program = program[:place] + claim + program[place + 2 :]
    archive(program, path, [("a/data/0", bytes(16))])
    with pytest.raises(BundleError, match="more than are stored"):
        load_tensors(path)
    archive(program_of(torch.arange(4.0)), path)  # no storage at all
    with pytest.raises(BundleError, match="pickle is damaged"):
        load_tensors(path)


def test_more_values_than_are_stored_are_refused(path):
    torch.save({"w": torch.zeros(1).expand(10**9)}, path)
    with pytest.raises(BundleError, match="claims more values"):
        load_tensors(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, device="meta"),
    ],
)
def test_tensors_of_other_kinds_are_refused(path, tensor):
    torch.save({"w": tensor}, path)
    with pytest.raises(BundleError):
        load_tensors(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([("a/data.pkl", b"}.")], "same name"),
        ([("A/DATA.PKL", b"}.")], "same name"),
        ([("b/data.pkl", b"}.")], "not an archive of torch"),
        ([("../a/data.pkl", b"}.")], "not an archive of torch"),
    ],
)
def test_archives_that_two_readers_may_read_in_two_ways_are_refused(path, members, match):
    archive(b"\x80\x02}.", path, members)
    with pytest.raises(BundleError, match=match):
        load_tensors(path)


def test_two_archives_in_one_file_are_refused(path, tmp_path):
    torch.save({"a": 1}, path)
    other = archive(b"\x80\x02}.", tmp_path / "other").read_bytes()
    good = path.read_bytes()
    for data in (other + good, good + other, good + b"\0", good[:-22] + b"\0" * 9 + good[-22:]):
        path.write_bytes(data)
        with pytest.raises(BundleError):
            load_tensors(path)


def test_a_second_table_of_contents_is_refused(path):
    torch.save({"a": 1}, path)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x06\x07")
    struct.pack_into("<Q", data, place + 8, 0)
    path.write_bytes(data)
    with pytest.raises(BundleError, match="not an archive of torch"):
        load_tensors(path)


def test_compressed_members_are_refused(path):
    archive(b"\x80\x02}.", path, [("a/data/0", bytes(10**6))], zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match="compressed"):
        load_tensors(path)


def test_every_cut_is_refused(path):
    for zipped in (True, False):
        torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
        data = path.read_bytes()
        for length in range(0, len(data), 5):
            path.write_bytes(data[:length])
            with pytest.raises(BundleError):
                load_tensors(path)


def test_old_files_with_objects_need_trust(path):
    torch.save({"a": np.float64(1)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(PickledObjectsError):
        load_tensors(path)
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {}):
            pickle.dump(value, file, protocol=2)
        file.write(b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".")  # claims a terabyte
    with pytest.raises(BundleError):
        load_tensors(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"stages": "all"}, "its stages"),
        ({"stages": [1]}, "its stages"),
        ({"seconds": None}, "its stages"),
        ({"format_version": [9] * 100}, "format"),
        ({"format": "other"}, "another kind"),
    ],
)
def test_checkpoints_of_a_training_are_checked(path, change, match):
    content = {
        "format": "soft-students training",
        "format_version": 1,
        "fingerprint": "f",
        "seconds": 1.0,
        "stages": [{}],
    }
    torch.save(content, path)
    assert Checkpoint(path, "f", resume=True).take(0) == {}
    torch.save(content | change, path)
    with pytest.raises(ValueError, match=match):
        Checkpoint(path, "f", resume=True)


def test_a_checkpoint_that_runs_code_runs_nothing(path):
    archive(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", path)
    with pytest.raises(ValueError, match=r"pickled objects.*resume=False"):
        Checkpoint(path, "f", resume=True)
