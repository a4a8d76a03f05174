"""Confidence beside accuracy."""

import numpy as np
import pytest

from soft_students.evaluation import (
    adaptive_calibration_error,
    expected_calibration_error,
    reliability_curve,
)
from tests.references import calibration as reference


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    return generator.dirichlet(np.full(3, 0.7), size=300), generator.integers(3, size=300)


@pytest.mark.parametrize("n_bins", [1, 2, 10, 15])
def test_the_errors_are_those_of_the_definitions(rows, n_bins):
    proba, y = rows
    given = proba.tolist(), y.tolist()
    assert expected_calibration_error(proba, y, n_bins=n_bins) == pytest.approx(
        reference.expected_calibration_error(*given, n_bins)
    )
    assert adaptive_calibration_error(proba, y, n_bins=n_bins) == pytest.approx(
        reference.adaptive_calibration_error(*given, n_bins)
    )


def test_who_is_right_as_often_as_said_has_no_error():
    proba = np.tile([0.75, 0.25], (8, 1))
    y = [0] * 6 + [1] * 2
    assert expected_calibration_error(proba, y) == pytest.approx(0, abs=1e-15)
    assert adaptive_calibration_error(proba, y) == pytest.approx(0, abs=1e-15)
    assert expected_calibration_error(np.eye(2)[y], [1 - label for label in y]) == 1


def test_a_curve_holds_every_row_once(rows):
    for strategy in ("uniform", "quantile"):
        curve = reliability_curve(*rows, n_bins=10, strategy=strategy)
        assert curve.count.sum() == 300
        assert len(curve.edges) == 11
        full = curve.count > 0
        assert (curve.confidence[full] <= curve.edges[1:][full] + 1e-15).all()
        assert (curve.confidence[full] >= curve.edges[:-1][full]).all()
        assert np.isnan(curve.accuracy[~full]).all()
    assert (curve.count == 30).all()


def test_an_edge_belongs_to_the_bin_below():
    proba = [[0.5, 0.5], [0.75, 0.25], [0.76, 0.24]]
    assert reliability_curve(proba, [0, 0, 0], n_bins=4).count.tolist() == [0, 1, 1, 1]


def test_equal_confidences_are_never_parted_and_their_order_tells_nothing():
    generator = np.random.default_rng(1)
    confidence = generator.choice([0.5, 0.5, 0.6, 0.9], size=100)  # as the leaves of a tree give
    proba, y = np.column_stack([confidence, 1 - confidence]), generator.integers(2, size=100)
    curve = reliability_curve(proba, y, n_bins=15, strategy="quantile")
    assert curve.count.tolist() == [np.sum(confidence == c) for c in (0.5, 0.6, 0.9)]
    order = generator.permutation(100)
    again = adaptive_calibration_error(proba[order], y[order])
    assert again == pytest.approx(adaptive_calibration_error(proba, y), abs=1e-15)
    assert curve.confidence == pytest.approx([0.5, 0.6, 0.9])


def test_labels_are_found_by_name(rows):
    proba, y = rows
    names = np.array(["b", "c", "a"])
    assert expected_calibration_error(proba, names[y], names) == expected_calibration_error(
        proba, y
    )


def test_bad_input_is_refused(rows):
    with pytest.raises(ValueError, match="empty"):
        reliability_curve(np.empty((0, 2)), [])
    with pytest.raises(ValueError, match=r"'n_bins' .* at least 1. Got 0"):
        reliability_curve(*rows, n_bins=0)
    with pytest.raises(ValueError, match=r"'uniform' or 'quantile'. Got 'mass'"):
        reliability_curve(*rows, strategy="mass")
    with pytest.raises(ValueError, match="NaN"):
        reliability_curve([[np.nan, 1]], [0])
