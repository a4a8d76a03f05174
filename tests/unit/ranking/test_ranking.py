"""Scores against a restatement; fronts; input that is unfit or degenerate."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import ranking as reference

from soft_students.ranking import (
    NORMALIZATIONS,
    ahp_weights,
    check_weights,
    get_criterion,
    pareto_front,
    rank,
)
from soft_students.ranking.criteria import misses

STUDENTS = {
    "tree": {"accuracy": 0.86, "latency_us": 90, "bytes": 20_000},
    "soft": {"accuracy": 0.95, "latency_us": 110, "bytes": 70_000},
    "forest": {"accuracy": 0.96, "latency_us": 9_000, "bytes": 4_000_000},
}
WEIGHTS = {"accuracy": 0.4, "latency_us": 0.3, "bytes": 0.3}


def drawn(seed, n=6, k=4, low=0.1):
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(low, 3, size=(n, k)) * 10.0 ** rng.integers(-3, 6, size=k)
    weights = rng.dirichlet(np.ones(k))
    higher = rng.random(k) < 0.5
    values = {f"s{i}": {f"c{j}": x for j, x in enumerate(row)} for i, row in enumerate(matrix)}
    settings = {
        "criteria": {f"c{j}": w for j, w in enumerate(weights)},
        "directions": {f"c{j}": "higher" if up else "lower" for j, up in enumerate(higher)},
    }
    return matrix, weights, higher, values, settings


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("method", ["topsis", "index", "ahp"])
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_a_restatement(method, normalization, seed):
    matrix, weights, higher, values, settings = drawn(seed)
    result = rank(values, **settings, method=method, normalization=normalization)
    restated = reference.topsis if method == "topsis" else reference.index
    expected = np.array(restated(matrix, weights, higher, normalization))
    scores = np.array([result.scores[name] for name in values])
    if method != "topsis" and normalization == "vector":
        expected += weights[~higher].sum()  # the library takes 1 - x of costs, the restatement -x
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    assert result.order == [f"s{i}" for i in np.argsort(-expected)]


@pytest.mark.parametrize("seed", range(5))
def test_judgements_equal_powers_of_the_matrix(seed):
    rng = np.random.default_rng(seed)
    n = 3 + seed
    matrix = np.ones((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            matrix[i, j] = rng.choice([1, 2, 3, 4, 5, 7, 9, 1 / 2, 1 / 3, 1 / 6, 1 / 9])
            matrix[j, i] = 1 / matrix[i, j]
    judgements = {(f"c{i}", f"c{j}"): matrix[i, j] for i in range(n) for j in range(i + 1, n)}
    result = ahp_weights(judgements, max_inconsistency=None)
    weights, eigenvalue = reference.ahp(matrix)
    np.testing.assert_allclose(list(result.weights.values()), weights, rtol=0, atol=1e-9)
    assert result.lambda_max == pytest.approx(eigenvalue, abs=1e-9)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_front_equals_a_restatement(matrix):
    higher = [True, False, True]
    assert pareto_front(matrix, higher).tolist() == reference.front(matrix, higher)


def test_the_front_is_of_criteria_that_count():
    """One who is best in what has no weight is not on the front for it."""
    values = {"a": {"accuracy": 0.9, "bytes": 5}, "b": {"accuracy": 0.8, "bytes": 1}}
    assert rank(values, {"accuracy": 1, "bytes": 1}).pareto == ["a", "b"]
    assert rank(values, {"accuracy": 1, "bytes": 0}).pareto == ["a"]


def test_weights_that_do_not_sum_to_one():
    result = rank(STUDENTS, {"accuracy": 4, "latency_us": 3, "bytes": 3})
    assert result.weights == pytest.approx(WEIGHTS)
    assert result.scores == pytest.approx(rank(STUDENTS, WEIGHTS).scores)
    assert result.notes[0] == "The weights sum to 10, not to 1: each was divided by that."
    assert not any("sum to" in note for note in rank(STUDENTS, WEIGHTS).notes)
    assert check_weights(["accuracy", "bytes"]) == ({"accuracy": 0.5, "bytes": 0.5}, None)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "No criterion"),
        ({"accuracy": -1}, "0 or more. Got -1"),
        ({"accuracy": np.nan}, "0 or more. Got nan"),
        ({"accuracy": 0, "bytes": 0}, "All are 0"),
        (["accuracy", "accuracy"], "named once"),
        ({"acuracy": 1}, "Did you mean 'accuracy'"),
    ],
)
def test_unfit_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        rank(STUDENTS, weights)


def test_names_of_criteria():
    assert [get_criterion(name) for name in ("latency", "size", "fidelity", "ece")] == [
        "latency_us", "bytes", "agreement", "ece",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"Did you mean 'latency'"):
        get_criterion("latenzy")
    with pytest.raises(ValueError, match=r"directions=.'beauty'"):
        rank({"a": {"beauty": 1}}, ["beauty"])
    with pytest.raises(ValueError, match=r"'higher' or 'lower'. Got 'up'"):
        rank({"a": {"beauty": 1}}, ["beauty"], directions={"beauty": "up"})


def test_unknown_method_and_normalization():
    with pytest.raises(ValueError, match=r"Unknown method 'topsy'.*Did you mean 'topsis'"):
        rank(STUDENTS, WEIGHTS, method="topsy")
    with pytest.raises(ValueError, match=r"Unknown normalization 'max'.*Did you mean 'minmax'"):
        rank(STUDENTS, WEIGHTS, normalization="max")


def test_constraints_exclude_before_anything_is_compared():
    result = rank(STUDENTS, WEIGHTS, method="index", constraints={"latency_us": 1000})
    assert result.excluded == {"forest": ["latency_us 9,000 is above 1,000"]}
    few = {name: STUDENTS[name] for name in ("tree", "soft")}
    assert result.scores == rank(few, WEIGHTS, method="index").scores


def test_a_value_just_off_a_limit_is_told_from_it():
    values = STUDENTS | {"near": {"accuracy": 0.899999, "latency_us": 1, "bytes": 1}}
    result = rank(values, WEIGHTS, constraints={"accuracy": 0.9})
    assert result.excluded["near"] == ["accuracy 0.899999 is below 0.9"]


def test_misses_are_measured_from_the_limit():
    directions = {"accuracy": "higher", "bytes": "lower"}
    found = misses(STUDENTS, {"accuracy": 0.9, "bytes": 50_000}, directions)
    assert found == {
        "tree": {"accuracy": pytest.approx(0.04)},
        "soft": {"bytes": 20_000},
        "forest": {"bytes": 3_950_000},
    }
    assert misses({"odd": {"accuracy": None}}, {"accuracy": 0.9}, directions) == {}
    assert misses(STUDENTS, {"accuracy": 0.86}, directions) == {}  # met exactly


def test_all_excluded_says_who_by_what():
    with pytest.raises(ValueError, match="All 3 students are excluded") as caught:
        rank(STUDENTS, WEIGHTS, constraints={"accuracy": 0.9, "bytes": 50_000})
    for words in (
        "tree: accuracy 0.86 is below 0.9",
        "soft: bytes 70,000 is above 50,000",
        "forest: bytes 4,000,000 is above 50,000",
    ):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match=r"finite number. Got nan"):
        rank(STUDENTS, WEIGHTS, constraints={"accuracy": float("nan")})


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_who_has_unknown_values_is_not_ranked(value):
    values = STUDENTS | {"odd": {"accuracy": 1.0, "latency_us": 1, "bytes": value}}
    result = rank(values, WEIGHTS)
    assert result.excluded == {"odd": ["its bytes is unknown"]}
    assert result.scores == rank(STUDENTS, WEIGHTS).scores


def test_a_limit_on_what_is_unknown_excludes():
    result = rank(STUDENTS | {"odd": {"accuracy": 1.0}}, ["accuracy"], constraints={"bytes": 1e9})
    assert result.excluded == {"odd": ["its bytes is unknown"]}


@pytest.mark.parametrize("method", ["topsis", "index"])
def test_a_criterion_in_which_all_are_alike_decides_nothing(method):
    alike = {name: of | {"ece": 0.0} for name, of in STUDENTS.items()}
    three = {"accuracy": 0.4, "bytes": 0.3, "ece": 0.3}
    result = rank(alike, three, method=method)
    assert any("the same ece" in note for note in result.notes)
    assert result.order == rank(STUDENTS, {"accuracy": 0.4, "bytes": 0.3}, method=method).order


@pytest.mark.parametrize("method", ["topsis", "index"])
def test_one_alone_is_the_ideal(method):
    result = rank({"tree": STUDENTS["tree"]}, WEIGHTS, method=method, normalization="minmax")
    assert result.scores == {"tree": pytest.approx(1.0)}
    assert (result.pareto, result.notes) == (["tree"], [])


def test_equals_have_equal_scores():
    result = rank({"a": STUDENTS["tree"], "b": STUDENTS["tree"]}, WEIGHTS)
    assert result.scores == {"a": 1.0, "b": 1.0}
    assert result.pareto == ["a", "b"]


def test_negative_values():
    """R² may be negative: distances and ranges take it, ratios do not."""
    values = {"a": {"r2": -0.5, "bytes": 10}, "b": {"r2": 0.5, "bytes": 20}}
    weights = {"r2": 0.7, "bytes": 0.3}
    assert rank(values, weights, method="index").scores == pytest.approx({"b": 0.7, "a": 0.3})
    matrix = [[-0.5, 10], [0.5, 20]]
    assert list(rank(values, weights).scores.values()) == pytest.approx(
        sorted(reference.topsis(matrix, [0.7, 0.3], [True, False]), reverse=True)
    )
    for normalization in ("ratio", "sum"):
        with pytest.raises(ValueError, match=r"above 0. Got -0.5 of 'r2'. Choose 'minmax'"):
            rank(values, weights, normalization=normalization)


def test_huge_and_tiny_values():
    values = {"a": {"bytes": 1e300, "ece": 1e-300}, "b": {"bytes": 1e299, "ece": 3e-300}}
    assert all(np.isfinite(list(rank(values, ["bytes", "ece"]).scores.values())))


def test_a_note_says_which_weight_hardly_counts():
    """Close accuracies vanish beside latencies that are far apart, unless ranges are compared."""
    assert any("accuracy differs so little" in note for note in rank(STUDENTS, WEIGHTS).notes)
    assert not any("hardly" in n for n in rank(STUDENTS, WEIGHTS, normalization="minmax").notes)
    small = {"accuracy": 0.96, "latency_us": 0.02, "bytes": 0.02}  # which is the weight's own doing
    assert not any("hardly" in n for n in rank(STUDENTS, small, method="index").notes)


@pytest.mark.parametrize(
    ("judgements", "message"),
    [
        ({}, "at least two"),
        ({("a", "a"): 1}, "at least two"),
        ({("a", "b"): 1, ("b", "b"): 1}, "itself"),
        ({("a", "b"): 0}, "must be 1 to 9"),
        ({("a", "b"): -3}, "must be 1 to 9"),
        ({("a", "b"): 2.5}, r"must be 1 to 9, or 1/2 to 1/9. Got a:b=2.5"),
        ({("a", "b"): float("nan")}, "must be 1 to 9"),
        ({("a", "b"): 3, ("b", "a"): 3}, "judged twice"),
        ({("a", "b"): 3, ("b", "c"): 3}, "Missing: a:c"),
        ({(f"c{i}", f"c{j}"): 1 for i in range(16) for j in range(i)}, "at most 15"),
    ],
)
def test_unfit_judgements(judgements, message):
    with pytest.raises(ValueError, match=message):
        ahp_weights(judgements)


def test_contradictory_judgements_are_taken_if_one_says_so():
    circle = {("a", "b"): 9, ("b", "c"): 9, ("c", "a"): 9}
    with pytest.raises(ValueError, match="contradict each other"):
        ahp_weights(circle)
    assert ahp_weights(circle, max_inconsistency=None).consistency_ratio > 1
    assert ahp_weights({("a", "b"): 0.333}).weights == pytest.approx({"a": 0.25, "b": 0.75})


def test_without_pymcdm_the_error_names_the_extra(monkeypatch):
    from soft_students.ranking import scores

    monkeypatch.setitem(sys.modules, "pymcdm", None)
    scores.load_pymcdm.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'soft-students\[ranking\]'"):
        rank(STUDENTS, WEIGHTS)
