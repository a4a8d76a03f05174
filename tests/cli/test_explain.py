import json

import numpy as np
import pytest
from click.testing import CliRunner

import soft_students.explain as explain_module
from soft_students import (
    DecisionTreeStudentClassifier,
    KNeighborsStudentClassifier,
    LogisticStudentClassifier,
    RandomForestStudentClassifier,
    SoftDecisionTreeClassifier,
    XGBoostStudentClassifier,
    save,
)
from soft_students.datasets import load_dataset
from soft_students.explain import explain_path
from softkd.shell import main


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def student(digits):
    tree = SoftDecisionTreeClassifier(2, epochs=2, standardize=False, random_state=0)
    return tree.fit(digits.X_train, digits.y_train)


@pytest.fixture
def file(student, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(student, "tree.student")
    return "tree.student"


def run(*arguments):
    return CliRunner().invoke(main, ["explain", *arguments])


def test_a_sample_is_counted_in_the_data_that_the_file_remembers(student, tmp_path):
    save(student, tmp_path / "s", data={"data": "digits"})
    remembered = run(str(tmp_path / "s"), "--sample", "42")
    assert remembered.exit_code == 0, remembered.output
    named = run(str(tmp_path / "s"), "--data", "digits", "--sample", "42")
    assert remembered.stdout == named.stdout


def test_without_out_the_path_is_text(file, student, digits):
    done = run(file, "--data", "digits", "--sample", "42")
    assert done.exit_code == 0, done.output
    first, *rest = done.stdout.splitlines()
    assert first == f"Row 42 of the test set of digits, labelled {digits.y_test[42]}"
    expected = explain_path(student, digits.X_test[42], image_shape=(8, 8))
    assert "\n".join(rest) == str(expected)
    assert "pixel" in done.stdout


def test_json_is_the_dict(file, student, digits):
    done = run(file, "--data", "digits", "--sample", "0", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    expected = explain_path(student, digits.X_test[0], image_shape=(8, 8)).to_dict()
    assert {name: said[name] for name in expected} == expected
    assert (said["data"], said["sample"], said["label"]) == ("digits", 0, digits.y_test[0])


@pytest.mark.parametrize(
    ("name", "beginning"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("made/p.PDF", b"%PDF")]
)
def test_a_path_is_drawn(file, tmp_path, name, beginning):
    done = run(file, "--data", "digits", "--sample", "3", "--out", name)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"Written: {name}\n"
    assert (tmp_path / name).read_bytes().startswith(beginning)


@pytest.mark.parametrize(
    ("arguments", "shape", "root"),
    [((), None, 0), (("--data", "digits", "--root", "2", "--max-depth", "1"), (8, 8), 2)],
)
def test_a_tree_is_drawn(file, tmp_path, monkeypatch, arguments, shape, root):
    asked = {}
    drawn = explain_module.plot_tree

    def plot_tree(student, **parameters):
        asked.update(parameters)
        return drawn(student, **parameters)

    monkeypatch.setattr(explain_module, "plot_tree", plot_tree)
    done = run(file, "--out", "tree.png", *arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")
    assert (asked["image_shape"], asked["root"]) == (shape, root)
    assert asked["X"] is None if shape is None else len(asked["X"]) == 450


def test_an_existing_file_is_kept_without_force(file, tmp_path):
    (tmp_path / "p.png").write_text("old")
    arguments = (file, "--data", "digits", "--sample", "3", "--out", "p.png")
    done = run(*arguments)
    assert done.exit_code == 1
    assert "--force" in done.stderr
    assert (tmp_path / "p.png").read_text() == "old"
    assert run(*arguments, "--force").exit_code == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--sample"),
        (("--json",), "--sample"),
        (("--out", "tree.png", "--json"), "--sample"),
        (("--sample", "1"), "--data"),
        (("--data", "digits", "--sample", "450"), "450 test rows"),
        (("--data", "digits", "--sample", "-1"), "--sample"),
        (("--data", "digits", "--sample", "1", "--root", "1"), "leave out --sample"),
        (("--out", "tree.gif"), ".png, .svg, .pdf"),
        (("--format", "text", "--out", "tree.png"), "--sample"),
        (("--row", "1", "--format", "png", "--out", "p.svg"), "writes a .png"),
        (("--row", "1", "--format", "png", "--json"), "exclude each other"),
        (("--row", "1", "--format", "gif"), "'text', 'json', 'png'"),
        (("--out", "tree.png", "--root", "3"), "[0, 2]"),
        (("--out", "tree.png", "--max-depth", "9"), "[1, 8]"),
        (("--out", "tree.png", "--data", "digit"), "Did you mean 'digits'"),
    ],
)
def test_bad_usage_says_what_to_do_and_writes_nothing(file, tmp_path, arguments, message):
    done = run(file, *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["tree.student"]


def test_data_of_another_size_is_refused(file, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "other.npz", X=rng.normal(size=(40, 3)), y=np.arange(40) % 2)
    done = run(file, "--data", "other.npz", "--sample", "1")
    assert done.exit_code == 1
    assert "has 3 features, but the student takes 64" in done.stderr


def test_columns_keep_their_names(tmp_path, monkeypatch):
    pd = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 2)), columns=["girth", "height"])
    y = np.where(X["girth"] > 0, "oak", "yew")
    save(SoftDecisionTreeClassifier(1, epochs=30, random_state=0).fit(X, y), "t.student")
    X.assign(kind=y).to_csv("trees.csv", index=False)
    done = run("t.student", "--data", "trees.csv", "--target", "kind", "--sample", "0")
    assert done.exit_code == 0, done.output
    assert "girth" in done.stdout
    assert "Predicted: " in done.stdout


@pytest.mark.parametrize(
    "other",
    [
        DecisionTreeStudentClassifier(max_depth=4),
        RandomForestStudentClassifier(n_estimators=4, random_state=0),
        XGBoostStudentClassifier(n_estimators=4, n_jobs=1),
        LogisticStudentClassifier(max_iter=20),
    ],
    ids=lambda student: type(student).__name__,
)
def test_other_students_in_every_form(other, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other.fit(digits.X_train, digits.y_train)
    save(other, "a.student")
    found = other.explain(digits.X_test[7], image_shape=(8, 8))
    arguments = ("a.student", "--data", "digits", "--row", "7")
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.split("\n", 1)[1].strip() == str(found)
    assert "pixel" in done.stdout
    done = run(*arguments, "--format", "json")
    assert json.loads(done.stdout)["importances"] == pytest.approx(found.importances().tolist())
    assert json.loads(done.stdout) == json.loads(run(*arguments, "--json").stdout)
    done = run(*arguments, "--format", "png")
    assert done.stdout == "Written: a.png\n"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    both = run(*arguments, "--format", "text", "--out", "b.svg")
    assert str(found) in both.stdout
    assert (tmp_path / "b.svg").exists()
    assert run(*arguments, "--format", "png").exit_code == 1  # it is there


def test_a_student_that_does_not_explain_itself(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(KNeighborsStudentClassifier().fit(digits.X_train, digits.y_train), "a.student")
    done = run("a.student", "--data", "digits", "--row", "7")
    assert done.exit_code == 1
    assert "Predictions of KNeighborsStudentClassifier cannot be explained" in done.stderr
    assert "logistic" in done.stderr
