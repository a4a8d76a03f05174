"""Worked examples of the books, to the digits that these print."""

from itertools import combinations

import pytest

from soft_students.ranking import ahp_weights, rank

# Hwang and Yoon (1981), "Multiple attribute decision making": the selection of a fighter aircraft.
# Speed, range, payload, cost, reliability and manoeuvrability of four aircraft.
FIGHTERS = [
    [2.0, 1500, 20_000, 5.5, 5, 9],
    [2.5, 2700, 18_000, 6.5, 3, 5],
    [1.8, 2000, 21_000, 4.5, 7, 7],
    [2.2, 1800, 20_000, 5.0, 5, 5],
]
FIGHTER_WEIGHTS = [0.2, 0.1, 0.1, 0.1, 0.2, 0.3]


def table(matrix):
    return {
        f"a{i + 1}": {f"x{j + 1}": x for j, x in enumerate(row)} for i, row in enumerate(matrix)
    }


def ranked(matrix, weights, costs=(), **settings):
    names = [f"x{j + 1}" for j in range(len(weights))]
    directions = {name: "lower" if name in costs else "higher" for name in names}
    return rank(
        table(matrix), dict(zip(names, weights, strict=True)), directions=directions, **settings
    )


def test_topsis_of_tzeng_and_huang():
    """Tzeng and Huang (2011), "Multiple attribute decision making", the example of TOPSIS."""
    result = ranked([[5, 8, 4], [7, 6, 8], [8, 8, 6], [7, 4, 6]], [0.3, 0.4, 0.3])
    assert {name: round(score, 4) for name, score in result.scores.items()} == {
        "a3": 0.7482, "a2": 0.6581, "a1": 0.5037, "a4": 0.3340,
    }  # fmt: skip
    assert result.order == ["a3", "a2", "a1", "a4"]


def test_topsis_of_fighter_aircraft():
    """Hwang and Yoon (1981), TOPSIS: closeness 0.643, 0.268, 0.613, 0.312.

    They go on with distances of four digits: with more of them, the third is 0.6135.
    """
    result = ranked(FIGHTERS, FIGHTER_WEIGHTS, costs=["x4"])
    scores = [result.scores[f"a{i}"] for i in (1, 2, 3, 4)]
    assert [round(scores[i], 3) for i in (0, 1, 3)] == [0.643, 0.268, 0.312]
    assert scores[2] == pytest.approx(0.613, abs=0.0006)
    assert result.order == ["a1", "a3", "a4", "a2"]


def test_simple_additive_weighting_of_fighter_aircraft():
    """Hwang and Yoon (1981) print the comparable values to two digits, and go on with those.

    The scores of their printed values are 0.835, 0.709, 0.852 and 0.738.
    """
    printed = [
        [0.80, 0.56, 0.95, 0.82, 0.71, 1.00],
        [1.00, 1.00, 0.86, 0.69, 0.43, 0.56],
        [0.72, 0.74, 1.00, 1.00, 1.00, 0.78],
        [0.88, 0.67, 0.95, 0.90, 0.71, 0.56],
    ]
    exact = ranked(FIGHTERS, FIGHTER_WEIGHTS, costs=["x4"], method="index", normalization="ratio")
    for i, row in enumerate(printed):
        assert [round(x, 2) for x in exact.normalized[f"a{i + 1}"].values()] == row
    assert exact.order == ["a3", "a1", "a4", "a2"]
    rounded = ranked(printed, FIGHTER_WEIGHTS, method="index", normalization="ratio")
    assert {name: round(score, 3) for name, score in rounded.scores.items()} == {
        "a3": 0.852, "a1": 0.835, "a4": 0.738, "a2": 0.709,
    }  # fmt: skip


def judged(rows, **settings):
    """Return what comes of the upper triangle of a matrix of judgements."""
    names = [f"x{k}" for k in range(len(rows) + 1)]
    pairs = combinations(range(len(names)), 2)
    return ahp_weights({(names[i], names[j]): rows[i][j - i - 1] for i, j in pairs}, **settings)


def test_ahp_of_drinks():
    """Saaty (2008), "Decision making with the analytic hierarchy process", table 2.

    The consumption of coffee, wine, tea, beer, soft drinks, milk and water in the United States:
    .177, .019, .042, .116, .190, .129, .327, with a consistency ratio of .022.
    """
    result = judged(
        [
            [9, 5, 2, 1, 1, 1 / 2],
            [1 / 3, 1 / 9, 1 / 9, 1 / 9, 1 / 9],
            [1 / 3, 1 / 4, 1 / 3, 1 / 9],
            [1 / 2, 1, 1 / 3],
            [2, 1 / 2],
            [1 / 3],
        ]
    )
    printed = [0.177, 0.019, 0.042, 0.116, 0.190, 0.129, 0.327]
    assert [round(weight, 3) for weight in result.weights.values()] == printed
    assert round(result.consistency_ratio, 3) == 0.022


def test_ahp_of_wealth():
    """Saaty (1977), the wealth of nations: .427 .230 .021 .052 .052 .123 .094, eigenvalue 7.61."""
    result = judged(
        [
            [4, 9, 6, 6, 5, 5],
            [7, 5, 5, 3, 4],
            [1 / 5, 1 / 5, 1 / 7, 1 / 5],
            [1, 1 / 3, 1 / 3],
            [1 / 3, 1 / 3],
            [2],
        ]
    )
    printed = [0.427, 0.230, 0.021, 0.052, 0.052, 0.123, 0.094]
    assert [round(weight, 3) for weight in result.weights.values()] == printed
    assert round(result.lambda_max, 2) == 7.61


HOUSE = [
    [5, 3, 7, 6, 6, 1 / 3, 1 / 4],
    [1 / 3, 5, 3, 3, 1 / 5, 1 / 7],
    [6, 3, 4, 6, 1 / 5],
    [1 / 3, 1 / 4, 1 / 7, 1 / 8],
    [1 / 2, 1 / 5, 1 / 6],
    [1 / 5, 1 / 6],
    [1 / 2],
]


def test_ahp_of_houses_is_too_inconsistent():
    """Saaty (1990), "How to make a decision", table 3: eigenvalue 9.669, ratio .169 (above 0.1)."""
    with pytest.raises(ValueError, match=r"consistency ratio is 0\.17.*limit of 0\.1.*x2:x6=6"):
        judged(HOUSE)
    result = judged(HOUSE, max_inconsistency=None)
    printed = [0.173, 0.054, 0.188, 0.018, 0.031, 0.036, 0.167, 0.333]
    assert [round(weight, 3) for weight in result.weights.values()] == printed
    assert round(result.lambda_max, 3) == 9.669
    assert round(result.consistency_index, 3) == 0.238
    # Saaty divides by 1.41, his mean index of 8 criteria; Tummala and Ling have 1.3952.
    assert round(result.consistency_index / 1.41, 3) == 0.169
    assert result.consistency_ratio == pytest.approx(result.consistency_index / 1.3952)
