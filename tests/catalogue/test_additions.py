"""A student and a method are one file and one line: within the package, and from outside."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from soft_students import NeuralStudentClassifier
from soft_students.testing import check_method

ROOT = Path(__file__).parents[2]
ADDITIONS = Path(__file__).parent / "additions"

ENTRY = """
    StudentEntry(
        "naive_bayes",
        "{module}:NaiveBayesStudentClassifier",
        None,
        "One distribution a class and feature: for classes that arrive later.",
        learns="means and variances, each row weighted by the probability of the class",
    )
"""

SOFTKD = """
import contextlib, io, runpy, sys

def softkd(*arguments):
    sys.argv[:] = ["softkd", *map(str, arguments)]
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        try:
            runpy.run_module("softkd", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            assert not end.code, arguments
    return shown.getvalue()
"""

STUDENT = """
assert "NaiveBayesStudentClassifier" in softkd("students")

from soft_students.students import get_student
from soft_students.testing import check_student

entry = get_student("naive_bayes")
assert "for classes that arrive later" in entry.summary
check_student(entry.classifier)
"""

EXPORTED = """
import soft_students, soft_students.students

assert "NaiveBayesStudentClassifier" in dir(soft_students)
assert soft_students.NaiveBayesStudentClassifier is entry.classifier
assert soft_students.students.NaiveBayesStudentClassifier is entry.classifier
runpy.run_path(TABLES, run_name="__main__")
"""

METHOD = """
from soft_students import methods

assert methods.entries()["margins"].title == "Matched margins"
assert "margin_loss" in dir(methods)
assert "torch" not in sys.modules
assert methods.available()["margins"] is methods.Margins
assert "Matched margins" in softkd("methods")
assert "weight=0.5" in softkd("methods", "margins")

from soft_students.testing import check_method

check_method(methods.Margins)
runpy.run_path(TABLES, run_name="__main__")
"""

SHELL = """
softkd("teach", "--data", "digits", "--arch", "mlp", "--epochs", 1, "--out", "t.pt")
of_digits = ("--teacher", "t.pt", "--student", "naive_bayes", "--no-baseline")
softkd("distill", *of_digits, "--out", "s.student")
assert "shares of the classes" in softkd("explain", "s.student", "--sample", 0)
"""


def run(program, folder, *trees):
    """Run a program in a new process, with trees of code in front of all others."""
    paths = os.pathsep.join(map(str, [*trees, *sys.path]))
    done = subprocess.run(
        [sys.executable, "-c", SOFTKD + program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def tree(tmp_path):
    """Return a copy of the package and its docs, to which files are added."""
    for part in ("soft_students", "docs"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("_build"))
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def add_line(path, list_name, line):
    """Add an item to the end of a list in a file of Python."""
    before, name, rest = path.read_text().partition(f"{list_name} = [")
    items, end, after = rest.partition("\n]\n")
    path.write_text(f"{before}{name}{items}\n{textwrap.indent(line, '    ')},{end}{after}")


def test_a_student_of_the_package_is_one_file_and_one_line(tree):
    students = tree / "soft_students" / "students"
    shutil.copy(ADDITIONS / "naive_bayes.py", students / "classical")
    line = ENTRY.format(module="soft_students.students.classical.naive_bayes").strip()
    add_line(students / "registry.py", "_ENTRIES", line)
    tables = f"TABLES = {str(tree / 'docs' / 'tables.py')!r}\n"
    run(tables + STUDENT + EXPORTED, tree, tree, ROOT / "cli")
    for page in ("README.md", "docs/students.md", "docs/explain.md"):
        assert "| `naive_bayes` |" in (tree / page).read_text()


def test_a_method_of_the_package_is_one_file_and_one_line(tree):
    methods = tree / "soft_students" / "methods"
    shutil.copy(ADDITIONS / "margins.py", methods)
    add_line(methods / "catalog.py", "_METHODS", '"soft_students.methods.margins:Margins"')
    tables = f"TABLES = {str(tree / 'docs' / 'tables.py')!r}\n"
    run(tables + METHOD, tree, tree, ROOT / "cli")
    assert "| `margins` | Matched margins |" in (tree / "docs" / "methods.md").read_text()


def test_a_student_of_another_package_passes_every_check_and_works_in_the_shell(tmp_path):
    info = tmp_path / "late_classes-1.0.dist-info"
    info.mkdir()
    shutil.copy(ADDITIONS / "naive_bayes.py", tmp_path)
    (tmp_path / "late_classes.py").write_text(
        "from soft_students.students import StudentEntry\n\n"
        f"entry = {ENTRY.format(module='naive_bayes').strip()}\n"
    )
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late-classes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[soft_students.students]\nnaive_bayes = late_classes:entry\n"
    )
    run(STUDENT + SHELL, tmp_path, tmp_path, ROOT, ROOT / "cli")


@pytest.fixture(scope="module")
def margins():
    """Return the class of the method, imported from its file as any module of a user."""
    sys.path.insert(0, str(ADDITIONS))
    try:
        from margins import Margins
    finally:
        sys.path.remove(str(ADDITIONS))
    return Margins


def test_a_method_from_outside_passes_every_check(margins):
    check_method(margins)
    check_method(margins(weight=2.0))


def test_a_method_from_outside_is_combined_with_others(margins):
    X, y = load_iris(return_X_y=True)
    targets = np.eye(3)[y] * 0.9 + 0.1 / 3
    student = NeuralStudentClassifier(method=[margins(weight=0.1), "kd"], epochs=2, random_state=0)
    student.fit(X, targets, labels=y)
    assert {"margins", "kd"} <= set(student.history_[-1])
