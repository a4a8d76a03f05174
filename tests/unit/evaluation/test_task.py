"""Quality by the true labels."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from soft_students.evaluation import brier_score, log_loss
from tests.references import task as reference


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    return generator.dirichlet(np.ones(4), size=60), generator.integers(4, size=60)


def test_they_are_those_of_the_definitions(rows):
    proba, y = rows
    assert brier_score(proba, y) == pytest.approx(reference.brier(proba.tolist(), y.tolist()))
    assert log_loss(proba, y) == pytest.approx(reference.log_loss(proba.tolist(), y.tolist()))
    assert log_loss(proba, y) == pytest.approx(sklearn_log_loss(y, proba))


def test_two_classes_score_twice_what_scikit_learn_returns():
    p, y = np.array([0.1, 0.7, 0.4]), np.array([0, 1, 1])
    assert brier_score(np.column_stack([1 - p, p]), y) == pytest.approx(2 * brier_score_loss(y, p))


def test_labels_are_found_by_name(rows):
    proba, y = rows
    names = np.array(["d", "a", "c", "b"])
    assert brier_score(proba, names[y], names) == brier_score(proba, y)
    assert log_loss(proba, names[y], names) == log_loss(proba, y)


def test_one_class_alone_and_an_impossible_one_are_finite():
    assert log_loss([[0.5, 0.5], [0.5, 0.5]], [1, 1]) == pytest.approx(np.log(2))
    assert log_loss([[1.0, 0.0]], [1]) == pytest.approx(-np.log(np.finfo(float).eps))
    assert brier_score([[1.0, 0.0]], [1]) == 2
    assert brier_score([[1.0, 0.0]], [0]) == log_loss([[1.0, 0.0]], [0]) == 0


@pytest.mark.parametrize("score", [brier_score, log_loss])
def test_bad_input_is_refused(score):
    with pytest.raises(ValueError, match="y is empty"):
        score(np.empty((0, 2)), [])
    with pytest.raises(ValueError, match="NaN in 1 of 1 rows"):
        score([[np.nan, 1.0]], [0])
    with pytest.raises(ValueError, match=r"among the classes \[0, 1\]. Got 2"):
        score([[0.5, 0.5]], [2])
    with pytest.raises(ValueError, match="one label for each column"):
        score([[0.5, 0.5]], ["a"], ["a"])
    with pytest.raises(ValueError, match="one row for each row of X"):
        score([[0.5, 0.5]], [0, 1])
    with pytest.raises(ValueError, match="shape"):
        score([[0.5, 0.5]], [[0]])
