import sys

import numpy as np
import pytest

from soft_students.export import to_onnx
from soft_students.teachers import load_teacher

onnxruntime = pytest.importorskip("onnxruntime")


def run(path, X):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


@pytest.mark.parametrize("prediction", ["expectation", "greatest_path", "greedy"])
def test_every_row_gets_the_students_answer(tree, answers, tmp_path, prediction):
    student, X = tree
    (path,) = to_onnx(student, tmp_path / "tree.onnx", prediction=prediction)
    said = run(path, X)
    expected = answers(student, X, prediction)
    student.prediction = prediction
    if hasattr(student, "classes_"):
        assert list(said) == ["label", "probabilities"]
        np.testing.assert_allclose(said["probabilities"], expected, atol=1e-6)
        np.testing.assert_array_equal(said["label"], student.predict(X))
    else:
        assert list(said) == ["values"]
        assert said["values"].shape == student.predict(X).shape
        np.testing.assert_allclose(said["values"].reshape(expected.shape), expected, atol=2e-6)


def test_the_number_of_rows_is_free(classifier, tmp_path):
    student, X = classifier
    (path,) = to_onnx(student, tmp_path / "tree.onnx")
    for n in (0, 1, 60):
        said = run(path, X[:n])
        assert said["label"].shape == (n,)
        assert said["probabilities"].shape == (n, 10)


def test_equal_paths_go_to_the_first_leaf_as_in_the_student(classifier, tmp_path):
    student, X = classifier
    student.gate_weights_[:] = 0
    student.gate_biases_[:] = 0
    (path,) = to_onnx(student, tmp_path / "tree.onnx", prediction="greatest_path")
    expected = np.tile(student.leaf_probabilities_[0], (len(X), 1))
    np.testing.assert_allclose(run(path, X)["probabilities"], expected, atol=1e-6)


def test_the_file_can_teach(classifier, tmp_path):
    student, X = classifier
    (path,) = to_onnx(student, tmp_path / "tree.onnx")
    teacher = load_teacher(path)
    assert teacher.n_features_in_ == 64
    np.testing.assert_allclose(teacher.predict_proba(X), student.predict_proba(X), atol=1e-6)


def test_the_missing_package_is_named(classifier, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'soft-students\[onnx\]'"):
        to_onnx(classifier[0], tmp_path / "tree.onnx")
