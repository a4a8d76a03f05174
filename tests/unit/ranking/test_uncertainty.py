"""Errors of measurement, ties, students that leave, and ratios to a reference."""

import numpy as np
import pytest
from scipy.stats import norm

from soft_students.ranking import rank
from soft_students.ranking.redrawing import dominated_shares

ONE = {"a": {"accuracy": 0.90}, "b": {"accuracy": 0.88}}


def test_shares_are_those_of_the_difference_of_two_normals():
    errors = {name: {"accuracy": 0.02} for name in ONE}
    result = rank(ONE, ["accuracy"], standard_errors=errors)
    expected = norm.cdf(0.02 / (0.02 * np.sqrt(2)))
    assert result.sensitivity.measured_shares["a"] == pytest.approx(expected, abs=0.04)
    assert sum(result.sensitivity.measured_shares.values()) == pytest.approx(1)
    assert result.sensitivity.win_shares == result.sensitivity.measured_shares  # of one weight
    (note,) = result.notes
    assert note.startswith("Measured again, a would win in ")
    assert "b in " in note
    assert rank(ONE, ["accuracy"], standard_errors=errors) == result  # by the same seed


def test_paired_draws_keep_what_errors_have_in_common():
    """Both vary by far more than they differ, but together."""
    common = np.random.default_rng(0).normal(scale=0.1, size=500)
    redrawn = {name: {"accuracy": of["accuracy"] + common} for name, of in ONE.items()}
    result = rank(ONE, ["accuracy"], redrawn=redrawn)
    assert result.sensitivity.measured_shares == {"a": 1.0, "b": 0.0}
    assert result.notes == []
    assert result.pareto == ["a"]


def test_without_errors_the_shares_are_of_exact_values():
    result = rank(ONE, ["accuracy"])
    assert result.sensitivity.measured_shares is None
    assert any("take the measured values as exact" in note for note in result.notes)
    assert rank({"a": ONE["a"]}, ["accuracy"]).notes == []


def test_win_shares_combine_weights_and_errors():
    values = {"good": {"accuracy": 0.9, "bytes": 20}, "small": {"accuracy": 0.8, "bytes": 10}}
    weights = {"accuracy": 0.7, "bytes": 0.3}
    exact = rank(values, weights, method="index").sensitivity.win_shares["good"]
    errors = {"good": {"accuracy": 0.1}, "small": {"accuracy": 0.1}}
    noisy = rank(values, weights, method="index", standard_errors=errors).sensitivity
    assert exact > 0.95
    assert noisy.win_shares["good"] < exact - 0.1
    assert noisy.measured_shares["good"] < 0.9


def test_only_what_is_beyond_the_errors_is_off_the_front():
    values = {
        "best": {"accuracy": 0.90, "bytes": 10},
        "near": {"accuracy": 0.89, "bytes": 12},
        "poor": {"accuracy": 0.70, "bytes": 15},
    }
    assert rank(values, ["accuracy", "bytes"]).pareto == ["best"]
    errors = {name: {"accuracy": 0.02} for name in values}
    result = rank(values, ["accuracy", "bytes"], standard_errors=errors)
    assert result.pareto == ["best", "near"]


def test_dominated_shares_count_draws():
    matrices = np.array([[[2.0, 1], [1, 1]], [[1, 1], [2, 1]], [[1, 1], [1, 1]], [[3, 1], [1, 2]]])
    shares = dominated_shares(matrices, np.array([True, True]))
    np.testing.assert_array_equal(shares, [[0, 0.25], [0.25, 0]])
    shares = dominated_shares(matrices, np.array([True, False]))
    np.testing.assert_array_equal(shares, [[0, 0.5], [0.25, 0]])


@pytest.mark.parametrize("normalization", ["ratio", "sum", "reference"])
def test_costs_drawn_again_stay_above_zero(normalization):
    values = {"a": {"latency_us": 10.0}, "b": {"latency_us": 11.0}}
    errors = {name: {"latency_us": 50.0} for name in values}
    method = "index"
    result = rank(
        values, ["latency_us"], method=method, normalization=normalization, standard_errors=errors
    )
    assert 0.3 < result.sensitivity.measured_shares["a"] < 0.7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"standard_errors": {"a": {"accuracy": -1}}}, "0 or more. Got -1"),
        ({"standard_errors": {"a": {"accuracy": np.inf}}}, "0 or more. Got inf"),
        ({"redrawn": {"a": {"accuracy": [0.9, np.nan]}}}, "'accuracy' of 'a' are not finite"),
        ({"redrawn": {"a": {"accuracy": []}}}, "as many as each other"),
        ({"redrawn": {"a": {"accuracy": 0.9}}}, "one-dimensional"),
        (
            {"redrawn": {"a": {"accuracy": [0.9]}, "b": {"accuracy": [0.8, 0.9]}}},
            r"Got the shapes \(1,\), \(2,\)",
        ),
        (
            {"redrawn": {"a": {"accuracy": [1]}}, "standard_errors": {"b": {"accuracy": 1}}},
            "1000 beside standard errors",
        ),
    ],
)
def test_unfit_errors(given, message):
    with pytest.raises(ValueError, match=message):
        rank(ONE, ["accuracy"], **given)


def test_ties_are_told():
    values = {"a": {"accuracy": 0.9}, "b": {"accuracy": 0.9}, "c": {"accuracy": 0.8}}
    notes = rank(values, ["accuracy"]).notes
    assert "a, b have the same score: the first of them wins by its place alone." in notes
    assert not any("same score" in note for note in rank(ONE, ["accuracy"]).notes)


PAIR = {"quick": {"accuracy": 0.80, "bytes": 10.0}, "right": {"accuracy": 0.90, "bytes": 20.0}}


def test_a_winner_that_depends_on_a_loser_is_told():
    """By min-max the range of bytes grows with the third, and the difference of two shrinks."""
    weights = {"accuracy": 0.45, "bytes": 0.55}
    three = PAIR | {"huge": {"accuracy": 0.80, "bytes": 1_000.0}}
    assert rank(PAIR, weights, method="index").winner == "quick"
    result = rank(three, weights, method="index")
    assert result.winner == "right"
    assert any(
        note.startswith("Without huge, quick would win instead of right:") for note in result.notes
    )
    assert not any("Without quick" in note for note in result.notes)


def test_a_tie_that_a_loser_has_broken_is_told():
    three = PAIR | {"huge": {"accuracy": 0.80, "bytes": 1_000.0}}
    result = rank(three, ["accuracy", "bytes"], method="index")
    assert result.winner == "right"
    assert any("Without huge, quick would be as good as right" in note for note in result.notes)


def test_a_winner_that_stays_has_no_such_note():
    three = PAIR | {"best": {"accuracy": 0.95, "bytes": 5.0}}
    for method in ("index", "topsis"):
        notes = rank(three, ["accuracy", "bytes"], method=method).notes
        assert not any("Without" in note for note in notes)


REFERENCE = {"accuracy": 0.8, "bytes": 20.0}


def test_indices_of_ratios_to_a_reference():
    weights = {"accuracy": 0.75, "bytes": 0.25}
    aggregate = rank(PAIR, weights, method="aggregate_index", reference=REFERENCE)
    assert aggregate.scores == pytest.approx(
        {"quick": 0.75 * 1 + 0.25 * 2, "right": 0.75 * 0.9 / 0.8 + 0.25 * 1}
    )
    mean = rank(PAIR, weights, method="mean_index", reference=REFERENCE)
    assert mean.scores == pytest.approx({"quick": 1.5, "right": (0.9 / 0.8 + 1) / 2})
    assert any("count the same" in note for note in mean.notes)
    assert aggregate.reference == mean.reference == REFERENCE
    assert aggregate.normalization == "reference"
    by_index = rank(PAIR, weights, method="index", normalization="reference", reference=REFERENCE)
    assert by_index.scores == aggregate.scores


def test_the_mean_leaves_out_criteria_of_weight_zero():
    result = rank(PAIR, {"accuracy": 1, "bytes": 0}, method="mean_index", reference=REFERENCE)
    assert result.scores == pytest.approx({"right": 0.9 / 0.8, "quick": 1.0})


def test_no_student_leaving_changes_an_index_relative_to_a_reference():
    three = PAIR | {"huge": {"accuracy": 0.80, "bytes": 1_000.0}}
    weights = {"accuracy": 0.45, "bytes": 0.55}
    two = rank(PAIR, weights, method="aggregate_index", reference=REFERENCE).scores
    all_three = rank(three, weights, method="aggregate_index", reference=REFERENCE)
    assert {name: all_three.scores[name] for name in two} == two
    assert not any("Without" in note for note in all_three.notes)


def test_the_reference_is_the_mean_of_the_students_unless_given():
    result = rank(PAIR, ["bytes"], method="aggregate_index")
    assert result.scores == pytest.approx({"quick": 1.5, "right": 0.75})
    assert result.reference is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "index", "reference": REFERENCE}, "the normalization 'reference' alone"),
        ({"method": "mean_index", "normalization": "minmax"}, "its normalization is 'reference'"),
        ({"method": "mean_index", "reference": {"accuracy": 1}}, "'bytes' must be .* Got None"),
        (
            {"method": "mean_index", "reference": {"accuracy": 1, "bytes": 0}},
            "'bytes' must be a finite number above 0. Got 0",
        ),
    ],
)
def test_unfit_references(settings, message):
    with pytest.raises(ValueError, match=message):
        rank(PAIR, ["accuracy", "bytes"], **settings)
