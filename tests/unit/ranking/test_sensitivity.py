"""Where the winner changes, against what is known by hand."""

import pytest

from soft_students.ranking import rank

TWO = {"good": {"accuracy": 0.9, "bytes": 20}, "small": {"accuracy": 0.8, "bytes": 10}}


def test_the_weight_at_which_the_winner_changes():
    """Of two students each is best in one criterion: by the index, half is where they are even."""
    result = rank(TWO, {"accuracy": 0.7, "bytes": 0.3}, method="index").sensitivity
    accuracy, size = result.ranges["accuracy"], result.ranges["bytes"]
    assert (accuracy.low, accuracy.high) == pytest.approx((0.5, 1.0))
    assert (accuracy.winner_below, accuracy.winner_above) == ("small", None)
    assert (size.low, size.high) == pytest.approx((0.0, 0.5))
    assert (size.winner_below, size.winner_above) == (None, "small")


def test_a_weight_within_its_range_keeps_the_winner():
    values = {
        "a": {"accuracy": 0.9, "bytes": 30, "ece": 0.1},
        "b": {"accuracy": 0.8, "bytes": 10, "ece": 0.2},
        "c": {"accuracy": 0.85, "bytes": 15, "ece": 0.05},
    }
    weights = {"accuracy": 0.5, "bytes": 0.2, "ece": 0.3}
    result = rank(values, weights)
    for criterion, found in result.sensitivity.ranges.items():
        others = {name: w for name, w in weights.items() if name != criterion}
        for end, winner in ((found.low, found.winner_below), (found.high, found.winner_above)):
            for shift, expected in ((-1e-6, result.winner), (1e-6, winner)):
                if winner is None:
                    continue
                outward = 1 if end == found.high else -1
                weight = end + outward * shift
                rest = (1 - weight) / sum(others.values())
                moved = {criterion: weight, **{name: w * rest for name, w in others.items()}}
                assert rank(values, moved).winner == expected


def test_random_weights_around_those_given():
    even = rank(TWO, {"accuracy": 0.5, "bytes": 0.5}, method="index").sensitivity
    assert even.win_shares["good"] == pytest.approx(0.5, abs=0.06)
    sure = rank(TWO, {"accuracy": 0.9, "bytes": 0.1}, method="index").sensitivity
    assert sure.win_shares["good"] > 0.99
    assert sum(even.win_shares.values()) == pytest.approx(1)
    again = rank(TWO, {"accuracy": 0.5, "bytes": 0.5}, method="index").sensitivity
    assert again == even
    other = rank(TWO, {"accuracy": 0.5, "bytes": 0.5}, method="index", random_state=1).sensitivity
    assert other.win_shares != even.win_shares


def test_a_weight_of_zero_stays_zero_at_random():
    result = rank(TWO, {"accuracy": 1.0, "bytes": 0.0}, method="index").sensitivity
    assert result.win_shares == {"good": 1.0, "small": 0.0}
    assert result.ranges["bytes"].high == pytest.approx(0.5)


def test_one_criterion_has_nowhere_to_move():
    result = rank(TWO, ["accuracy"]).sensitivity
    found = result.ranges["accuracy"]
    assert (found.low, found.high, found.winner_below, found.winner_above) == (0, 1, None, None)


def test_who_wins_everywhere():
    values = TWO | {"best": {"accuracy": 0.95, "bytes": 5}}
    result = rank(values, ["accuracy", "bytes"]).sensitivity
    assert result.win_shares["best"] == 1
    assert all((r.low, r.high) == (0, 1) for r in result.ranges.values())
