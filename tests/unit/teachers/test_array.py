import numpy as np
import pytest
import torch

from soft_students.teachers import ArrayTeacher

P = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
X = np.zeros((3, 7))


def test_the_rows_are_given_back():
    np.testing.assert_allclose(ArrayTeacher(P).predict_proba(X), P, atol=1e-300)
    np.testing.assert_array_equal(ArrayTeacher(P - 3, kind="logits").logits(X), P - 3)
    np.testing.assert_array_equal(ArrayTeacher(P, task="regression").predict(X), P)


def test_nobody_changes_what_the_teacher_says():
    given = P - 3
    teacher = ArrayTeacher(given, kind="logits")
    given[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        teacher.logits(X)[:] = 0
    np.testing.assert_array_equal(teacher.logits(X), P - 3)


def test_tensors_and_lists_are_arrays():
    for outputs in (P.tolist(), torch.tensor(P, requires_grad=True)):
        np.testing.assert_allclose(ArrayTeacher(outputs).predict_proba(X), P, atol=1e-300)


def test_labels_name_the_columns():
    assert ArrayTeacher(P, classes=["a", "b"]).predict(X).tolist() == ["b", "a", "a"]


@pytest.mark.parametrize("n_rows", [1, 2, 4])
def test_other_rows_cannot_be_asked_about(n_rows):
    with pytest.raises(ValueError, match=f"array of 3 rows, but X has {n_rows}.*pass the model"):
        ArrayTeacher(P).logits(X[:1].repeat(n_rows, axis=0))


@pytest.mark.parametrize(
    ("outputs", "options", "message"),
    [
        (P + 0.1, {}, "must sum to one; 3 of 3"),
        (P * [[1], [1], [np.nan]], {}, "NaN in 1 of 3"),
        (P * np.nan, {"kind": "logits"}, "not finite in 3 of 3"),
        (P - [[1, -1]], {}, "must not be negative"),
        (P, {"classes": [1, 2, 3]}, "2 columns, but the number of classes is 3"),
        (P[:, :, None], {}, "shape"),
        ([0, 2, 1], {}, "one probability per row"),
        (0.5, {}, "single number"),
        (0.5, {"task": "regression"}, "single number"),
    ],
)
def test_unusable_arrays_are_refused_when_given(outputs, options, message):
    with pytest.raises(ValueError, match=message):
        ArrayTeacher(outputs, **options)
