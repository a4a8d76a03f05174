import numpy as np
import pytest
import torch

from soft_students.teachers import FunctionTeacher, InputRangeWarning

X = np.array([[0.25, 0.75], [1.0, 0.0]])


def identity(rows):
    return rows


def test_probabilities_are_expected_unless_said_otherwise():
    np.testing.assert_allclose(FunctionTeacher(identity).predict_proba(X), X, atol=1e-300)
    with pytest.raises(ValueError, match="must sum to one; 2 of 2"):
        FunctionTeacher(identity).predict_proba(X + 1)


def test_logits_are_taken_as_they_are():
    np.testing.assert_array_equal(FunctionTeacher(identity, kind="logits").logits(X), X)


def test_values_are_taken_as_they_are():
    teacher = FunctionTeacher(identity, task="regression")
    np.testing.assert_array_equal(teacher.predict(X), X)


def test_lists_and_tensors_with_gradients_are_fine_answers():
    for answer in (X.tolist(), torch.tensor(X, requires_grad=True)):
        teacher = FunctionTeacher(lambda rows, answer=answer: answer, kind="logits")
        np.testing.assert_array_equal(teacher.logits(X), X)


def test_the_function_sees_the_rows_as_they_are():
    seen = []

    def look(rows):
        seen.append(rows)
        return [[0.5, 0.5]] * len(rows)

    rows = [["text", 1], ["more", None]]
    FunctionTeacher(look).predict_proba(rows)
    assert seen[0] is rows


def test_labels_name_the_columns_and_the_range_is_watched():
    teacher = FunctionTeacher(identity, classes=["a", "b"], input_range=(0, 1), kind="logits")
    assert teacher.predict(X).tolist() == ["b", "a"]
    with pytest.warns(InputRangeWarning, match="'identity'"):
        teacher.logits(X * 9)


def test_predicted_labels_are_no_probabilities():
    with pytest.raises(ValueError, match="must return numbers"):
        FunctionTeacher(lambda rows: np.array(["a", "b"])).predict_proba(X)
    with pytest.raises(ValueError, match="negative"):
        FunctionTeacher(lambda rows: np.array([1, 2])).predict_proba(X)


def test_names():
    assert FunctionTeacher(identity).name == "identity"
    assert FunctionTeacher(lambda rows: rows).name == "function"
