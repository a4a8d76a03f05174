"""McNemar's test."""

import numpy as np
import pytest

from soft_students.evaluation import mcnemar
from tests.references import task as reference


def answers(b, c, both=5, neither=3):
    """Return labels of two models where the first alone is right b times, the second c times."""
    first = [1] * b + [0] * c + [1] * both + [0] * neither
    second = [0] * b + [1] * c + [1] * both + [0] * neither
    return first, second, [1] * len(first)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 7), (10, 2), (12, 12), (0, 24)])
def test_few_discordant_rows_are_tested_exactly(b, c):
    found = mcnemar(*answers(b, c))
    assert found.pvalue == pytest.approx(reference.exact_mcnemar(b, c))
    assert (found.only_first, found.only_second, found.method) == (b, c, "exact")
    assert found.statistic == min(b, c)


@pytest.mark.parametrize(("b", "c"), [(25, 0), (10, 15), (40, 60), (59, 31)])
def test_many_are_tested_by_chi_square(b, c):
    found = mcnemar(*answers(b, c))
    assert (found.statistic, found.pvalue) == pytest.approx(reference.chi_square_mcnemar(b, c))
    assert found.method == "chi-square"


def test_models_that_never_differ_are_the_same():
    for n in (1, 50):
        found = mcnemar([1] * n, [1] * n, [0] * n)
        assert (found.pvalue, found.only_first, found.only_second) == (1, 0, 0)
    assert mcnemar(*answers(15, 15)).pvalue == 1  # no correction beyond zero


def test_the_order_of_the_models_does_not_matter():
    first, second, y = answers(3, 30)
    assert mcnemar(first, second, y).pvalue == mcnemar(second, first, y).pvalue


def test_rows_must_be_the_same():
    with pytest.raises(ValueError, match=r"same rows.*\(2,\), \(3,\) and \(2,\)"):
        mcnemar([0, 1], [0, 1, 1], [0, 1])
    with pytest.raises(ValueError, match="same rows"):
        mcnemar(np.empty(0), np.empty(0), np.empty(0))
