"""Measures of fidelity, against their definitions and against values worked out by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss

from soft_students.evaluation import (
    agreement,
    align_classes,
    disagreements,
    fidelity_by_class,
    kl_to_teacher,
    soft_cross_entropy,
    top_k_agreement,
)
from tests.references import fidelity as reference

DISTANCES = [kl_to_teacher, soft_cross_entropy]


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(5), size=40), rng.dirichlet(np.full(5, 0.3), size=40)


def test_agreement_of_labels_is_a_fraction_of_rows(pair):
    student, teacher = (p.argmax(axis=1) for p in pair)
    expected = reference.agreement(student.tolist(), teacher.tolist())
    assert 0 < expected < 1
    assert agreement(student, teacher) == expected
    names = np.array(list("abcde"))
    assert agreement(names[student], names[teacher]) == expected
    assert agreement(student.tolist(), teacher.tolist()) == expected


def test_agreement_of_probabilities_compares_the_largest_column(pair):
    choices = [[reference.first_largest(row) for row in p.tolist()] for p in pair]
    assert agreement(*pair) == reference.agreement(*choices)


def test_kl_and_cross_entropy_equal_their_definitions(pair):
    student, teacher = (p.tolist() for p in pair)
    assert kl_to_teacher(*pair) == pytest.approx(reference.kl(student, teacher), rel=1e-12)
    assert soft_cross_entropy(*pair) == pytest.approx(
        reference.cross_entropy(student, teacher), rel=1e-12
    )


def test_values_worked_out_by_hand():
    # KL = 3/4 log(3/4 / 1/2) + 1/4 log(1/4 / 1/2) = 3/4 log 3 - log 2
    kl = 0.75 * math.log(3) - math.log(2)
    assert kl_to_teacher([[0.5, 0.5]], [[0.75, 0.25]]) == pytest.approx(kl, rel=1e-14)
    assert soft_cross_entropy([[0.25, 0.75]], [[0.5, 0.5]]) == pytest.approx(
        -0.5 * math.log(3 / 16), rel=1e-14
    )


def test_the_divergence_is_from_the_teacher_and_not_from_the_student(pair):
    student, teacher = pair
    assert kl_to_teacher(student, teacher) != pytest.approx(kl_to_teacher(teacher, student))


def test_the_teacher_does_not_diverge_from_itself(pair):
    for teacher in (*pair, np.eye(3), np.array([[1 - 1e-300, 1e-300, 0.0]])):
        assert kl_to_teacher(teacher, teacher) == 0


def test_cross_entropy_of_one_hot_targets_is_the_log_loss(pair):
    labels = np.arange(40) % 5
    assert soft_cross_entropy(pair[0], np.eye(5)[labels]) == pytest.approx(
        log_loss(labels, pair[0]), rel=1e-12
    )


def test_cross_entropy_is_divergence_plus_the_teachers_entropy(pair):
    student, teacher = pair
    entropy = soft_cross_entropy(teacher, teacher)
    assert soft_cross_entropy(student, teacher) == pytest.approx(
        kl_to_teacher(student, teacher) + entropy
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_class_the_student_rules_out_costs_much_but_not_infinity(distance):
    cost = distance([[1.0, 0.0]], [[0.0, 1.0]])
    assert cost == pytest.approx(-math.log(np.finfo(np.float64).eps))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_lower_precision_changes_the_result_by_no_more_than_its_rounding(distance, dtype):
    pair = np.random.default_rng(0).dirichlet(np.full(5, 20.0), size=(2, 40))
    rounded = pair.astype(dtype)
    assert distance(*rounded) == pytest.approx(distance(*pair), abs=float(5 * np.finfo(dtype).eps))


@pytest.mark.parametrize("function", [agreement, *DISTANCES])
@pytest.mark.parametrize(
    ("student", "teacher", "match"),
    [
        ([[0.5, 0.5]], [[0.2, 0.3, 0.5]], r"same shape.*Got \(1, 2\) and \(1, 3\)"),
        ([[0.5, 0.5]], [[0.5, 0.5]] * 2, "same shape"),
        ([[0.5, 0.5]], [0], "same shape"),
        (np.ones((2, 2, 1)), np.ones((2, 2, 1)), "same shape"),
        (np.empty((0, 3)), np.empty((0, 3)), "empty"),
        ([[0.5, 0.6]], [[0.5, 0.5]], "sum to one"),
        ([[0.5, 0.5]], [[3.0, -2.0]], "negative"),
        ([[0.5, np.nan]], [[0.5, 0.5]], "NaN"),
        ([[0.5, 0.5]], [[np.inf, 0.5]], "sum"),
    ],
)
def test_unfit_outputs_are_refused(function, student, teacher, match):
    with pytest.raises(ValueError, match=match):
        function(student, teacher)


@pytest.mark.parametrize("distance", DISTANCES)
def test_labels_have_no_divergence(distance):
    with pytest.raises(ValueError, match=r"\(n_samples, n_classes\)"):
        distance([0, 1], [0, 1])


def test_columns_are_placed_under_their_labels():
    proba = np.array([[0.1, 0.2, 0.7]], dtype=np.float32)
    aligned = align_classes(proba, ["c", "a", "d"], to=["a", "b", "c", "d"])
    np.testing.assert_array_equal(aligned, np.array([[0.2, 0, 0.1, 0.7]], dtype=np.float32))
    assert aligned.dtype == np.float32


def test_labels_of_different_numeric_types_are_the_same_label():
    np.testing.assert_array_equal(align_classes([[0.3, 0.7]], [2, 1], to=[1.0, 2.0]), [[0.7, 0.3]])


def test_a_label_without_a_place_is_refused():
    with pytest.raises(ValueError, match=r"lack 'bird'\. Got \['cat'\]"):
        align_classes([[1.0]], ["bird"], to=["cat"])


def test_as_many_labels_as_columns_are_needed():
    with pytest.raises(ValueError, match=r"Got 1 classes for an array of shape \(1, 2\)"):
        align_classes([[0.5, 0.5]], ["bird"], to=["bird", "cat"])


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_top_k_agreement_equals_its_definition(pair, k):
    expected = reference.top_k(*(p.tolist() for p in pair), k)
    assert top_k_agreement(*pair, k) == expected
    if k == 1:
        assert expected == agreement(*pair) < 1
    if k >= 5:
        assert expected == 1


def test_of_equal_probabilities_the_first_columns_are_the_top():
    assert top_k_agreement([[0.25] * 4] * 4, np.eye(4), k=2) == 0.5
    with pytest.raises(ValueError, match=r"at least 1\. Got 0"):
        top_k_agreement([[1.0]], [[1.0]], k=0)


def test_fidelity_by_class_is_fidelity_of_its_rows(pair):
    student, teacher = pair
    teacher = np.column_stack([teacher, np.zeros(40)])  # a class that is never chosen
    student = np.column_stack([student * 0.9, np.full(40, 0.1)])
    found = fidelity_by_class(student, teacher, list("abcdef"))
    for k, name in enumerate("abcdef"):
        rows = teacher.argmax(axis=1) == k
        assert (found.classes[k], found.count[k]) == (name, rows.sum())
        if rows.any():
            assert found.agreement[k] == pytest.approx(agreement(student[rows], teacher[rows]))
            assert found.kl_to_teacher[k] == pytest.approx(
                kl_to_teacher(student[rows], teacher[rows])
            )
    assert found.count.tolist()[5] == 0
    assert np.isnan([found.agreement[5], found.kl_to_teacher[5]]).all()
    whole = np.nansum(found.agreement * found.count) / 40
    assert whole == pytest.approx(agreement(student, teacher))


def test_disagreements_are_the_rows_of_other_choices_the_furthest_apart_first(pair):
    student, teacher = (p.tolist() for p in pair)
    choices = [[reference.first_largest(row) for row in p] for p in (student, teacher)]
    apart = [reference.kl_row(t, s) for t, s in zip(teacher, student, strict=True)]
    rows = [i for i in range(40) if choices[0][i] != choices[1][i]]
    rows.sort(key=lambda i: -apart[i])
    names = np.array(list("abcde"))
    found = disagreements(*pair, names)
    assert len(found) == len(rows) > 3
    assert found.indices.tolist() == rows
    assert found.student.tolist() == [names[choices[0][i]] for i in rows]
    assert found.teacher.tolist() == [names[choices[1][i]] for i in rows]
    assert found.kl_to_teacher == pytest.approx([apart[i] for i in rows])
    assert len(disagreements(pair[1], pair[1])) == 0


def test_classes_must_be_as_many_as_columns(pair):
    for function in (fidelity_by_class, disagreements):
        with pytest.raises(ValueError, match="Got 2 classes for 5 columns"):
            function(*pair, ["a", "b"])
        with pytest.raises(ValueError, match="empty"):
            function(np.empty((0, 2)), np.empty((0, 2)))
