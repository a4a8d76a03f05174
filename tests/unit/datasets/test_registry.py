"""One function for every data set: names, paths and the parameters that apply to them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from soft_students.datasets import available_datasets, load_dataset


def test_every_name_has_a_line_about_it():
    assert list(available_datasets()) == ["digits", "mnist", "fashion_mnist"]
    assert all(0 < len(summary) < 100 for summary in available_datasets().values())


def test_digits_are_whole_scaled_and_split_in_proportion():
    digits = load_dataset("digits")
    assert (digits.X_train.shape, digits.X_test.shape) == ((1347, 64), (450, 64))
    assert digits.X_train.dtype == digits.X_test.dtype == np.float32
    assert digits.X_train.flags.c_contiguous
    assert (digits.X_train.min(), digits.X_train.max()) == (0, 1)
    assert (digits.image_shape, digits.classes.tolist()) == ((8, 8), list(range(10)))
    bunch = load_digits()
    shares = np.bincount(digits.y_test) / np.bincount(bunch.target)
    np.testing.assert_allclose(shares, 0.25, atol=0.01)
    rows = {(*row, label) for row, label in zip(bunch.data / 16, bunch.target, strict=True)}
    for X, y in ((digits.X_train, digits.y_train), (digits.X_test, digits.y_test)):
        assert {(*row, label) for row, label in zip(X.astype(float), y, strict=True)} <= rows


def test_the_split_of_digits_is_always_the_same():
    first, second = load_dataset("digits"), load_dataset("digits", random_state=5)
    np.testing.assert_array_equal(first.X_test, second.X_test)


def test_a_misspelt_name_gets_a_hint():
    with pytest.raises(
        ValueError, match=r"Unknown data set 'minst'\. Did you mean 'mnist'\?"
    ) as caught:
        load_dataset("minst")
    assert "digits, mnist, fashion_mnist" in str(caught.value)
    assert ".csv, .parquet, .npz" in str(caught.value)


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "table.xlsx"
    path.write_text("")
    with pytest.raises(ValueError, match=r"table\.xlsx.*\.csv, \.parquet, \.npz"):
        load_dataset(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_a_file_that_is_not_there_is_named(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=f"no file '.*nothing{suffix}'"):
        load_dataset(tmp_path / f"nothing{suffix}", target="y")


def test_a_folder_gets_the_way_to_idx_files(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder.*data_dir"):
        load_dataset(tmp_path)


def test_the_suffix_may_be_in_capitals(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.eye(4), y=[0, 1, 0, 1])
    path = (tmp_path / "data.npz").rename(tmp_path / "DATA.NPZ")
    assert load_dataset(str(path)).X_train.shape == (3, 4)


@pytest.mark.parametrize("name", ["digits", "mnist"])
@pytest.mark.parametrize(
    "option", [{"target": "y"}, {"test_size": 0.5}, {"task": "classification"}]
)
def test_parameters_of_tables_are_refused_for_names(name, option):
    with pytest.raises(ValueError, match=f"'{next(iter(option))}' .*not apply to '{name}'"):
        load_dataset(name, **option)


def test_data_dir_is_refused_where_nothing_is_looked_for(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.eye(4), y=[0, 1, 0, 1])
    for name in ("digits", tmp_path / "data.npz"):
        with pytest.raises(ValueError, match="'data_dir' parameter does not apply"):
            load_dataset(name, data_dir=tmp_path)


def test_the_text_of_a_data_set_is_one_line():
    assert repr(load_dataset("digits")) == (
        "<Dataset 'digits': 1347 training and 450 test rows, 64 features, 10 classes; "
        "from scikit-learn load_digits>"
    )
