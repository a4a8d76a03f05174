import json

import numpy as np
import pytest
from click.testing import CliRunner

from soft_students import SoftDecisionTreeClassifier, save
from soft_students.datasets import load_dataset
from soft_students.export import SoftTree
from softkd.shell import main


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def student(digits):
    tree = SoftDecisionTreeClassifier(3, epochs=2, prediction="greatest_path", random_state=0)
    return tree.fit(digits.X_train, digits.y_train)


@pytest.fixture
def file(student, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(student, "tree.student")
    return "tree.student"


def run(*arguments):
    return CliRunner().invoke(main, ["export", *arguments])


def test_the_default_name_is_the_students(file, student, digits, tmp_path):
    done = run(file, "--format", "numpy")
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "tree.student",
        "tree.npz",
        "numpy_predictor.py",
    }
    said = SoftTree.load("tree.npz").predict_proba(digits.X_test)
    np.testing.assert_allclose(said, student.predict_proba(digits.X_test), atol=1e-6)


def test_json_describes_the_files_and_the_loss(file, student, digits, tmp_path):
    arguments = ("--format", "c", "--out", "made/d.c", "--prefix", "digit", "--json")
    done = run(file, *arguments, "--weights", "int8", "--data", "digits")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["files"] == {
        name: (tmp_path / name).stat().st_size for name in ("made/d.c", "made/d.h")
    }
    assert (said["format"], said["prediction"], said["weights"]) == ("c", "greatest_path", "int8")
    assert set(said["comparison"]) == {
        "agreement",
        "max_difference",
        "accuracy",
        "accuracy_of_student",
    }
    measured = student.score(digits.X_test, digits.y_test)
    assert said["comparison"]["accuracy_of_student"] == pytest.approx(measured)
    assert "int digit_predict(" in (tmp_path / "made/d.h").read_text()


def test_onnx_is_written(file, tmp_path):
    pytest.importorskip("onnx")
    done = run(file, "--format", "onnx", "--out", "t.onnx", "--prediction", "expectation")
    assert done.exit_code == 0, done.output
    assert "Written: t.onnx" in done.output
    assert b"expectation" in (tmp_path / "t.onnx").read_bytes()


def test_an_existing_file_is_replaced_only_by_force(file, tmp_path):
    (tmp_path / "tree.c").write_text("mine")
    done = run(file, "--format", "c")
    assert done.exit_code == 1
    assert "--force" in done.output
    assert (tmp_path / "tree.c").read_text() == "mine"
    assert run(file, "--format", "c", "--force").exit_code == 0
    assert (tmp_path / "tree.c").read_text() != "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "onnx", "--weights", "int8"),
        ("--format", "onnx", "--data", "digits"),
        ("--format", "numpy", "--prefix", "tree"),
        ("--format", "java"),
        (),
    ],
)
def test_options_that_do_not_apply_are_bad_usage(file, arguments, tmp_path):
    done = run(file, *arguments)
    assert done.exit_code == 2, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["tree.student"]


def test_a_file_that_is_no_student_fails_in_one_line(file, tmp_path):
    (tmp_path / "no.student").write_text("no")
    done = run("no.student", "--format", "c")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
