"""NPZ files: arrays by name, official splits kept, nothing unpickled."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from soft_students.datasets import load_dataset

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = np.arange(40) % 2


@pytest.fixture
def npz(tmp_path):
    def write(save=np.savez, **arrays):
        path = tmp_path / "data.npz"
        save(path, **arrays)
        return path

    return write


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_x_and_y_are_split(npz, save):
    dataset = load_dataset(npz(save, X=X, y=Y))
    assert dataset.X_train.shape == (30, 3)
    assert dataset.X_train.dtype == np.float32
    assert np.bincount(dataset.y_test).tolist() == [5, 5]
    assert dataset.classes.tolist() == [0, 1]
    assert dataset.feature_names is None
    assert dataset.name == "data.npz"
    rows = np.concatenate([dataset.X_train, dataset.X_test])
    np.testing.assert_array_equal(
        rows[np.argsort(rows[:, 0])], X[np.argsort(X[:, 0])].astype(np.float32)
    )


@pytest.mark.parametrize("names", [("X", "y"), ("X_train", "y_train")])
def test_an_official_split_is_kept(npz, names):
    arrays = {names[0]: X[:30], names[1]: Y[:30], "X_test": X[30:], "y_test": Y[30:] + 1}
    dataset = load_dataset(npz(**arrays))
    np.testing.assert_array_equal(dataset.X_train, X[:30].astype(np.float32))
    np.testing.assert_array_equal(dataset.X_test, X[30:].astype(np.float32))
    np.testing.assert_array_equal(dataset.y_train, Y[:30])
    np.testing.assert_array_equal(dataset.y_test, Y[30:] + 1)
    # A class that only the test part has is a class all the same.
    assert dataset.classes.tolist() == [0, 1, 2]


def test_an_official_split_cannot_be_asked_to_change(npz):
    path = npz(X=X[:30], y=Y[:30], X_test=X[30:], y_test=Y[30:])
    with pytest.raises(ValueError, match=r"leave out test_size\. Got 0\.2"):
        load_dataset(path, test_size=0.2)


def test_target_names_the_arrays(npz):
    values = rng.normal(size=40)
    dataset = load_dataset(npz(X=X, y=Y, price=values), target="price")
    assert dataset.task == "regression"
    assert dataset.classes is None
    assert set(dataset.y_train) | set(dataset.y_test) == set(values)
    split = npz(X_train=X[:30], age_train=Y[:30], X_test=X[30:], age_test=Y[30:])
    assert load_dataset(split, target="age").X_test.shape == (10, 3)


def test_text_labels_of_different_lengths_go_together(npz):
    path = npz(X=X[:2], y=np.array(["a", "b"]), X_test=X[2:4], y_test=np.array(["b", "long name"]))
    assert load_dataset(path).classes.tolist() == ["a", "b", "long name"]


def test_column_major_arrays_become_row_major(npz):
    dataset = load_dataset(npz(X=np.asfortranarray(X), y=Y, X_test=X.T[:, :3].T, y_test=Y[:3]))
    assert dataset.X_train.flags.c_contiguous


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"X": X},
        {"X": X, "Y": Y},
        {"X_train": X, "y_train": Y},
        {"X": X, "y": Y, "X_test": X},
        {"X_test": X, "y_test": Y},
    ],
)
def test_a_missing_array_lists_those_that_are_there(npz, arrays):
    with pytest.raises(ValueError, match="must hold the arrays 'X' and 'y'") as caught:
        load_dataset(npz(**arrays))
    assert f"It holds: {', '.join(map(repr, arrays)) or 'nothing'}." in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X[:, 0], "y": Y}, r"'X' .*\(rows, features\).*Got float64 of shape \(40,\)"),
        ({"X": X.reshape(40, 3, 1), "y": Y}, "Flatten images"),
        ({"X": X * 1j, "y": Y}, "real numbers.*Got complex128"),
        ({"X": X.astype(str), "y": Y}, "real numbers.*Got <U"),
        ({"X": X[:0], "y": Y[:0]}, "at least one of each"),
        ({"X": X[:, :0], "y": Y}, "at least one of each"),
        ({"X": X, "y": Y[:-1]}, r"the shape \(40,\)\. Got int64 of shape \(39,\)"),
        ({"X": X, "y": Y[:, None]}, r"the shape \(40,\)\. Got int64 of shape \(40, 1\)"),
        ({"X": X, "y": Y * 1j}, "Got complex128"),
        ({"X": X[:1], "y": Y[:1]}, "at least 2 rows"),
        ({"X": X, "y": np.where(Y, np.nan, 1.0)}, "'y' .*must be finite. Got nan in row 2"),
        ({"X": X * 1e300, "y": Y}, "'X' .*beyond the range of float32"),
        ({"X": X, "y": Y, "X_test": X[:, :2], "y_test": Y}, r"equally many features\. Got 3 and 2"),
    ],
)
def test_unusable_arrays_are_refused(npz, arrays, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(npz(**arrays))


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_arrays_of_objects_are_refused_without_running_anything(npz, tmp_path):
    bomb = tmp_path / "exploded"
    path = npz(X=X, y=np.array([Bomb(bomb)] * 40, dtype=object))
    with pytest.raises(ValueError, match=r"'y' .*objects are refused.*astype\(str\)"):
        load_dataset(path)
    assert not bomb.exists()


def test_other_arrays_are_not_even_read(npz):
    assert load_dataset(npz(X=X, y=Y, notes=np.array([{}], dtype=object))).classes is not None


def test_a_pickle_under_this_name_does_not_run(tmp_path):
    bomb, path = tmp_path / "exploded", tmp_path / "data.npz"
    path.write_bytes(pickle.dumps(Bomb(bomb)))
    with pytest.raises(ValueError, match="is not an NPZ file"):
        load_dataset(path)
    assert not bomb.exists()


@pytest.mark.parametrize("place", [0.3, 0.6])
def test_a_damaged_file_is_refused(npz, place):
    path = npz(X=X, y=Y)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.npz'"):
        load_dataset(path)


def test_a_truncated_file_is_refused(npz):
    path = npz(X=X, y=Y)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="is not an NPZ file"):
        load_dataset(path)


def test_a_header_that_claims_too_much_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "<f8", "fortran_order": False, "shape": (10**14, 3)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", array.getvalue() + bytes(100))
        archive.writestr("y.npy", array.getvalue())
    with pytest.raises(ValueError, match=r"data\.npz'"):
        load_dataset(path)
