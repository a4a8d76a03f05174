"""What every form refuses, and how files are replaced."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import DistilledClassifier, SoftDecisionTreeClassifier
from soft_students.export import to_c, to_numpy, to_onnx

FORMS = {to_c: "tree.c", to_numpy: "tree.npz", to_onnx: "tree.onnx"}


@pytest.fixture(params=FORMS, ids=lambda write: write.__name__)
def form(request, tmp_path):
    return request.param, tmp_path / FORMS[request.param]


def test_what_is_no_soft_tree_is_refused(form):
    write, path = form
    with pytest.raises(TypeError, match="Got LogisticRegression"):
        write(LogisticRegression(), path)
    assert not path.exists()


def test_wrapped_trees_are_refused_with_the_way_to_them(form, classifier):
    write, path = form
    student, X = classifier
    with pytest.raises(TypeError, match="last step"):
        write(make_pipeline(StandardScaler(), student), path)
    wrapper = DistilledClassifier(
        SoftDecisionTreeClassifier(1, epochs=1), LogisticRegression().fit(X, np.arange(len(X)) % 2)
    )
    with pytest.raises(TypeError, match="student_"):
        write(wrapper.fit(X, np.arange(len(X)) % 2), path)


def test_an_unfitted_tree_is_refused(form):
    write, path = form
    with pytest.raises(NotFittedError):
        write(SoftDecisionTreeClassifier(), path)


def test_an_unknown_prediction_is_refused(form, classifier):
    write, path = form
    with pytest.raises(ValueError, match=r"'prediction' parameter .* 'greedy'\. Got 'best'"):
        write(classifier[0], path, prediction="best")


@pytest.mark.parametrize("write", [to_c, to_numpy])
def test_an_unknown_type_of_weights_is_refused(write, classifier, tmp_path):
    with pytest.raises(ValueError, match=r"'weights' parameter .* Got 'int4'"):
        write(classifier[0], tmp_path / FORMS[write], weights="int4")


def test_another_ending_is_refused(form, classifier):
    write, path = form
    with pytest.raises(ValueError, match="must end in"):
        write(classifier[0], path.with_suffix(".txt"))


def test_weights_that_are_not_finite_are_refused(form, classifier):
    write, path = form
    student, _ = classifier
    student.gate_weights_[2, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        write(student, path)


def test_classes_of_several_kinds_are_refused(form, classifier):
    write, path = form
    student, _ = classifier
    student.classes_ = np.array([None, *range(9)], dtype=object)
    with pytest.raises(ValueError, match="all strings, all numbers"):
        write(student, path)


def test_every_file_is_kept_unless_overwriting_is_allowed(form, classifier):
    write, path = form
    student, _ = classifier
    written = write(student, path)
    for kept in written:
        for file in written:
            file.unlink(missing_ok=True)
        kept.write_bytes(b"mine")
        with pytest.raises(FileExistsError, match="exists already"):
            write(student, path, overwrite=False)
        assert kept.read_bytes() == b"mine"
        assert [file for file in written if file.exists()] == [kept]
        write(student, path)
        assert kept.read_bytes() != b"mine"


def test_several_numpy_trees_share_one_module(classifier, tmp_path):
    student, _ = classifier
    to_numpy(student, tmp_path / "one.npz", overwrite=False)
    to_numpy(student, tmp_path / "two.npz", overwrite=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "numpy_predictor.py",
        "one.npz",
        "two.npz",
    ]
