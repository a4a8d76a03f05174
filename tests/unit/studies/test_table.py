import pytest

from soft_students.studies import markdown_table, summarize


def test_the_spread_is_that_of_a_sample():
    assert summarize([0.9, 0.92, 0.94])["sd"] == pytest.approx(0.02)
    assert summarize([0.9]) == {"values": [0.9], "mean": 0.9, "sd": None}


def test_the_table_shows_percent_with_spread_and_seconds():
    row = {
        "depth": 8,
        "trained_on": "teacher",
        "temperature": 3.0,
        "epochs": 40,
        "accuracy_expectation": summarize([0.98, 0.982]),
        "accuracy_greatest_path": summarize([0.97, 0.97]),
        "accuracy_greedy": summarize([0.96, 0.96]),
        "agreement": summarize([0.975, 0.975]),
        "seconds": summarize([10.0, 12.0]),
        "bytes": 813642,
    }
    lines = markdown_table([row, row | {"temperature": None}]).splitlines()
    assert lines[2] == (
        "| 8 | teacher | 3 | 40 | 98.10 ± 0.14 | 97.00 ± 0.00 | 96.00 ± 0.00 | 97.50 ± 0.00 "
        "| 11 ± 1 | 813,642 |"
    )
    assert lines[3].startswith("| 8 | teacher |  | 40 |")
    assert {line.count("|") for line in lines} == {11}
