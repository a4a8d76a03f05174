"""Names that are chosen from, and the messages about those that do not exist."""

import pytest

from soft_students.choices import choose, did_you_mean, listed, unknown

SEASONS = {"spring": 1, "summer": 2, "autumn": 3}


def test_a_known_name_gives_its_value():
    assert choose(SEASONS, "autumn", "season") == 3


def test_an_unknown_name_is_told_with_the_known_and_the_nearest_one():
    expected = "Unknown day 'sumer'. Available: spring, summer, autumn. Did you mean 'summer'?"
    assert unknown(SEASONS, "sumer", "day") == expected
    with pytest.raises(ValueError, match=r"^Unknown day 'sumer'") as caught:
        choose(SEASONS, "sumer", "day")
    assert str(caught.value) == expected


def test_nothing_near_is_no_hint():
    assert did_you_mean(iter(SEASONS), "winter") == ""
    assert did_you_mean(SEASONS, 7) == ""
    assert unknown([], "winter", "season") == "Unknown season 'winter'. Available: none."


def test_long_lists_are_cut():
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(["a", "b", "c", "d"], limit=2) == "'a', 'b' and 2 more"
