import math
import warnings

import numpy as np
import pandas as pd
import pytest

from soft_students.targets import (
    check_logits,
    check_probabilities,
    check_temperature,
    mix_labels,
    one_hot,
    sharpen,
    soften,
)


@pytest.fixture(autouse=True)
def _no_numeric_warning_escapes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        # logits ln 1, ln 4, ln 16: softened probabilities are proportional to (1, 4, 16)^(1/T)
        (1.0, [1 / 21, 4 / 21, 16 / 21]),
        (2.0, [1 / 7, 2 / 7, 4 / 7]),
        (0.5, [1 / 273, 16 / 273, 256 / 273]),
    ],
)
def test_softening_takes_the_root_of_probabilities(temperature, expected):
    softened = soften(np.log([[1, 4, 16]]), temperature)
    np.testing.assert_allclose(softened, [expected], rtol=1e-12)
    assert softened.dtype == np.float64


def test_softening_takes_lists_and_float32_and_returns_float64():
    softened = soften(np.array([[0, 1]], dtype=np.float32))
    assert softened.dtype == np.float64
    np.testing.assert_allclose(softened, [[1 / (1 + math.e), math.e / (1 + math.e)]], rtol=1e-12)
    np.testing.assert_array_equal(soften([[0, 1]]), softened)
    assert soften(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("temperature", [1e-320, 1e-308, 1e-3, 1.0])
def test_extreme_logits_and_tiny_temperatures_stay_finite(temperature):
    np.testing.assert_array_equal(
        soften([[1e4, -1e4, 0.0], [0.0, 1e308, -1e308]], temperature), [[1, 0, 0], [0, 1, 0]]
    )


def test_extreme_logits_do_soften_at_a_temperature_of_their_scale():
    np.testing.assert_allclose(
        soften([[1e4, -1e4]], 1e4), [[math.e**2 / (1 + math.e**2), 1 / (1 + math.e**2)]]
    )


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1000.0])
def test_minus_infinity_stays_impossible_at_every_temperature(temperature):
    np.testing.assert_array_equal(soften([[-np.inf, 2.0, 2.0]], temperature), [[0, 0.5, 0.5]])


@pytest.mark.parametrize(
    "temperature", [0, -1.0, np.nan, np.inf, -np.inf, None, "2", [2.0], np.array(2.0), 1j]
)
def test_a_temperature_must_be_a_finite_number_above_zero(temperature):
    with pytest.raises(ValueError, match=r"temperature must be a finite number > 0\. Got"):
        soften([[0.0, 1.0]], temperature)


@pytest.mark.parametrize("temperature", [2, 0.5, np.float32(3), np.int64(4)])
def test_numbers_of_any_kind_are_temperatures(temperature):
    check_temperature(temperature)


def test_sharpening_takes_the_power_of_probabilities():
    np.testing.assert_allclose(
        sharpen(np.array([[1 / 7, 2 / 7, 4 / 7]]), 2.0), [[1 / 21, 4 / 21, 16 / 21]]
    )
    np.testing.assert_allclose(sharpen(np.array([[0.2, 0.6]]), 1), [[0.25, 0.75]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1, 5.0])
def test_sharpening_keeps_zero_and_the_dtype(dtype, temperature):
    sharp = sharpen(np.array([[0, 0.5, 0.5], [0, 0, 1]], dtype=dtype), temperature)
    np.testing.assert_array_equal(sharp, [[0, 0.5, 0.5], [0, 0, 1]])
    assert sharp.dtype == dtype


def test_mixing_moves_weight_from_the_teacher_to_the_label():
    logits = np.log([[1, 4, 16], [1, 1, 2]])
    mixed = np.exp(mix_labels(logits, np.array([0, 2]), hard_weight=0.25))
    # 3/4 (1, 4, 16)/21 + 1/4 (1, 0, 0) and 3/4 (1, 1, 2)/4 + 1/4 (0, 0, 1)
    np.testing.assert_allclose(mixed, [[2 / 7, 1 / 7, 4 / 7], [3 / 16, 3 / 16, 10 / 16]])


def test_hard_weight_zero_leaves_the_teacher_alone():
    logits = np.array([[1.0, 2.0], [3.0, -np.inf]])
    np.testing.assert_array_equal(mix_labels(logits, np.array([0, 1]), 0.0), logits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 20.0])
def test_hard_weight_one_is_one_hot_at_every_temperature(temperature):
    labels = np.array([1, 0, 1])
    mixed = mix_labels(np.array([[3.0, -2.0], [1e4, 0.0], [5.0, -np.inf]]), labels, 1.0)
    np.testing.assert_array_equal(soften(mixed, temperature), one_hot(labels, 2))


def test_mixing_does_not_change_the_logits_it_is_given():
    logits = np.array([[1.0, 2.0]])
    mix_labels(logits, np.array([0]), 0.5)
    np.testing.assert_array_equal(logits, [[1.0, 2.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mixing_keeps_what_a_confident_teacher_says_of_unlikely_classes(dtype):
    # exp(-2000) is zero in any float, yet at T = 1000 the class has the odds exp(-2).
    mixed = mix_labels(np.array([[0.0, -2000.0]], dtype=dtype), np.array([0]), 0.5)
    odds = 0.5 ** (1 / 1000) * math.exp(-2)  # half of the weight went to the label
    np.testing.assert_allclose(
        soften(mixed, 1000.0), [[1 / (1 + odds), odds / (1 + odds)]], rtol=1e-6
    )


def test_mixing_lets_a_label_contradict_what_the_teacher_rules_out():
    mixed = mix_labels(np.array([[0.0, -np.inf]]), np.array([1]), 0.25)
    np.testing.assert_allclose(np.exp(mixed), [[0.75, 0.25]])


def test_one_hot_puts_a_one_in_the_column_of_each_label():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    assert one_hot(np.array([], dtype=int), 3).shape == (0, 3)


def test_logits_that_are_fit_pass_as_float64():
    logits = [[1, -np.inf], [0, 2]]
    checked = check_logits(logits, n_samples=2, n_classes=2)
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, logits)


@pytest.mark.parametrize("bad", [[np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]])
def test_logits_must_be_finite(bad):
    with pytest.raises(ValueError, match=r"not finite in 1 of 3 rows \(first: row 1\)"):
        check_logits([[0.0, 1.0], bad, [2.0, 3.0]], n_samples=3)


@pytest.mark.parametrize("check", [check_logits, check_probabilities])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, 0.5], r"must have the shape \(n_samples, n_classes\). Got an array with 1 dim"),
        (0.5, "Got an array with 0 dim"),
        ([[[0.5, 0.5]]], "Got an array with 3 dim"),
        ([[0.5, 0.5]] * 3, "have 3 rows, but X has 2"),
        ([[0.2, 0.3, 0.5]] * 2, "have 3 columns, but the number of classes is 2"),
    ],
)
def test_targets_of_another_shape_are_refused(check, values, message):
    with pytest.raises(ValueError, match=message):
        check(values, n_samples=2, n_classes=2)


@pytest.mark.parametrize("check", [check_logits, check_probabilities])
@pytest.mark.parametrize("values", [[["a", "b"]], [[0.5, 0.5], [1.0]]])
def test_targets_that_are_no_table_of_numbers_are_refused(check, values):
    with pytest.raises(ValueError, match=r"could not convert|inhomogeneous"):
        check(values, n_samples=len(values))


def test_no_rows_are_fit():
    assert check_probabilities(np.zeros((0, 3)), 0, 3).shape == (0, 3)
    assert check_logits(np.zeros((0, 3)), 0, 3).shape == (0, 3)


@pytest.mark.parametrize("wrap", [list, np.array, pd.DataFrame])
def test_probabilities_of_any_container_pass_as_float64(wrap):
    checked = check_probabilities(wrap([[1, 0], [0, 1]]), n_samples=2, n_classes=2)
    assert type(checked) is np.ndarray
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, np.eye(2))


def test_what_rounding_left_over_is_spread():
    rounded = np.array([[0.1, 0.2, 0.7]] * 4, dtype=np.float16)
    assert abs(float(rounded[0].astype(float).sum()) - 1) > 1e-6
    np.testing.assert_allclose(check_probabilities(rounded, 4).sum(axis=1), 1, rtol=1e-15)


def test_checking_probabilities_copies_them():
    given = np.array([[0.5, 0.5004]])
    checked = check_probabilities(given, 1)
    assert not np.shares_memory(checked, given)
    np.testing.assert_array_equal(given, [[0.5, 0.5004]])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.5, 0.6], r"1 of 3 rows do not \(first: row 1 sums to 1.1\)"),
        ([0.0, 0.0], "row 1 sums to 0"),
        ([np.inf, 0.5], "row 1 sums to inf"),
        ([np.inf, -np.inf], "row 1 sums to nan"),
        ([3.0, -2.0], "must not be negative; row 1 contains -2"),
        ([1.0001, -0.0001], "must not be negative; row 1 contains -0.0001"),
        ([np.nan, 0.5], r"contain NaN in 1 of 3 rows \(first: row 1\)"),
    ],
)
def test_rows_that_are_no_probabilities_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        check_probabilities([[0.5, 0.5], bad, [0.1, 0.9]], n_samples=3)


def test_logits_passed_as_probabilities_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r'as_teacher\(logits, kind="logits"\)'):
        check_probabilities([[2.0, -1.0, 0.5]], n_samples=1)
