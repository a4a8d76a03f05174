"""Soft targets: laws of temperature and of mixing, for whatever a teacher may say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soft_students.targets import check_probabilities, mix_labels, one_hot, sharpen, soften

shapes = st.tuples(st.integers(1, 6), st.integers(2, 7))
temperatures = st.floats(0.05, 50)


def logits_within(size):
    return arrays.arrays(np.float64, shapes, elements=st.floats(-size, size, width=32))


@st.composite
def labelled(draw, size=50.0):
    logits = draw(logits_within(size))
    labels = st.integers(0, logits.shape[1] - 1)
    return logits, draw(arrays.arrays(np.intp, len(logits), elements=labels))


@given(logits=logits_within(1e4), temperature=st.floats(1e-300, 1e300))
def test_softened_rows_are_probabilities(logits, temperature):
    softened = soften(logits, temperature)
    assert softened.min() >= 0
    np.testing.assert_allclose(softened.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(check_probabilities(softened, len(logits)), softened, rtol=1e-12)


@given(logits=logits_within(100), temperature=temperatures, shift=st.floats(-1e4, 1e4))
def test_a_constant_added_to_the_logits_of_a_row_changes_nothing(logits, temperature, shift):
    np.testing.assert_allclose(
        soften(logits + shift, temperature), soften(logits, temperature), rtol=1e-9, atol=1e-9
    )


@given(logits=logits_within(100), temperature=temperatures)
def test_only_the_ratio_of_logits_and_temperature_counts(logits, temperature):
    np.testing.assert_allclose(
        soften(logits, temperature), soften(logits / temperature), rtol=1e-9, atol=1e-300
    )


@given(logits=logits_within(1e4))
def test_at_high_temperature_all_classes_are_alike(logits):
    softened = soften(logits, 1e12)
    np.testing.assert_allclose(softened, 1 / logits.shape[1], rtol=1e-7)


@given(logits=logits_within(100))
def test_at_low_temperature_the_likeliest_classes_share_all(logits):
    best = logits == logits.max(axis=1, keepdims=True)
    # float32 values up to 100 that differ do so by more than 1e-44
    expected = best / best.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(soften(logits, 1e-48), expected, atol=1e-12)


@given(logits=logits_within(100), temperature=temperatures)
def test_temperature_does_not_change_the_ranking(logits, temperature):
    softened = soften(logits, temperature)
    rising = np.take_along_axis(softened, logits.argsort(axis=1), axis=1)
    assert (np.diff(rising, axis=1) >= 0).all()


@given(logits=logits_within(20), temperature=st.floats(0.1, 50))
def test_sharpening_undoes_softening(logits, temperature):
    np.testing.assert_allclose(
        sharpen(soften(logits, temperature), temperature), soften(logits), rtol=1e-7, atol=1e-12
    )


@given(case=labelled(), hard_weight=st.floats(0, 1))
def test_mixing_is_the_weighted_mean_of_both_distributions(case, hard_weight):
    logits, labels = case
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    teacher = powers / powers.sum(axis=1, keepdims=True)
    truth = np.eye(logits.shape[1])[labels]
    np.testing.assert_allclose(
        soften(mix_labels(logits, labels, hard_weight)),
        (1 - hard_weight) * teacher + hard_weight * truth,
        rtol=1e-9,
        atol=1e-15,
    )


@given(case=labelled(1e4), temperature=temperatures)
def test_with_all_weight_on_the_labels_the_teacher_is_not_heard(case, temperature):
    logits, labels = case
    targets = soften(mix_labels(logits, labels, 1.0), temperature)
    np.testing.assert_array_equal(targets, one_hot(labels, logits.shape[1]))


@given(case=labelled(), weights=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_more_weight_on_the_labels_makes_them_likelier(case, weights):
    logits, labels = case
    less, more = (
        soften(mix_labels(logits, labels, weight))[np.arange(len(labels)), labels]
        for weight in sorted(weights)
    )
    assert (more >= less - 1e-12).all()
