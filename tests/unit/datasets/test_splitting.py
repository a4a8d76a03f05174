"""The validation split: in proportion, repeatable, and nothing lost."""

import numpy as np
import pytest

from soft_students.datasets import validation_split

X = np.arange(100, dtype=np.float32)[:, None]
LABELS = np.array(["often"] * 80 + ["seldom"] * 20)


def test_every_row_is_in_one_part_with_its_own_label():
    X_rest, X_val, y_rest, y_val = validation_split(X, LABELS, random_state=0)
    assert len(X_val) == 10
    np.testing.assert_array_equal(np.sort(np.concatenate([X_rest, X_val])[:, 0]), X[:, 0])
    for part, labels in ((X_rest, y_rest), (X_val, y_val)):
        np.testing.assert_array_equal(labels == "seldom", part[:, 0] >= 80)


def test_classes_keep_their_proportions():
    for seed in range(5):
        y_val = validation_split(X, LABELS, fraction=0.2, random_state=seed)[3]
        assert np.count_nonzero(y_val == "seldom") == 4


def test_the_same_seed_gives_the_same_rows():
    first, again, other = (validation_split(X, LABELS, random_state=s)[1] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "y",
    [
        np.linspace(0, 1, 100),  # values
        np.eye(4)[np.arange(100) % 4],  # soft targets
        np.array([0] * 99 + [1]),  # a class of one row
        np.repeat(np.arange(50), 2),  # more classes than validation rows
    ],
)
def test_what_cannot_be_in_proportion_is_drawn_all_the_same(y):
    X_rest, X_val, y_rest, y_val = validation_split(X, y, random_state=0)
    assert len(X_val) == len(y_val) == 10
    np.testing.assert_array_equal(y_rest, y[X_rest[:, 0].astype(int)])


@pytest.mark.parametrize(("n", "fraction", "expected"), [(2, 0.01, 1), (2, 0.99, 1), (3, 0.5, 2)])
def test_no_part_is_ever_empty(n, fraction, expected):
    parts = validation_split(X[:n], LABELS[:n], fraction=fraction)
    assert (len(parts[0]), len(parts[1])) == (n - expected, expected)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan"), 5, "a", None])
def test_the_fraction_must_be_one(fraction):
    with pytest.raises(
        ValueError, match=r"'fraction' parameter of validation_split must be a float .*\(0, 1\)"
    ):
        validation_split(X, LABELS, fraction=fraction)


def test_one_row_cannot_be_split():
    with pytest.raises(ValueError, match=r"At least 2 rows .* Got 1\."):
        validation_split(X[:1], LABELS[:1])


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        validation_split(X, LABELS[:-1])
