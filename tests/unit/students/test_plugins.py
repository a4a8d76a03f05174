"""Students of other packages, whose distributions are made up here."""

import importlib
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from soft_students.students import StudentEntry, available, get_student
from soft_students.students.files import dumps, loads
from soft_students.students.plugins import loaded_entries
from soft_students.testing import check_student
from softkd.shell import main

DOCS = Path(__file__).parents[3] / "docs" / "tutorials" / "own_student.md"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that makes a distribution of one module, with entry points."""
    monkeypatch.syspath_prepend(tmp_path)
    loaded_entries.cache_clear()

    def make(package, source, **points):
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = [f"{name} = {module}:{value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[soft_students.students]", *lines]))
        sys.modules.pop(module, None)  # of the test before
        importlib.invalidate_caches()
        loaded_entries.cache_clear()

    yield make
    loaded_entries.cache_clear()


@pytest.fixture
def example(install):
    """Install the example of the documentation."""
    text = DOCS.read_text()
    (source,) = re.findall(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    ((name, module, value),) = re.findall(r"^(\w+) = \"(\w+):(\w+)\"$", text, re.MULTILINE)
    install(module.replace("_", "-"), source, **{name: value})
    return get_student(name)


def test_the_documented_example_is_a_student(example):
    X, y = load_iris(return_X_y=True)
    assert list(available())[-1] == "cluster"
    check_student(example.classifier)
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    student = example.classifier(random_state=0, temperature=2.0).fit(X, teacher)
    assert student.score(X, y) > 0.9
    again = loads(dumps(student))
    np.testing.assert_array_equal(again.predict_proba(X), student.predict_proba(X))


def test_the_command_lists_students_of_other_packages(example, monkeypatch):
    said = json.loads(CliRunner().invoke(main, ["students", "--json"]).stdout)
    assert said["cluster"]["classifier"] == "ClusterStudentClassifier"
    assert said["cluster"]["regressor"] is None
    assert "A few prototypes" in CliRunner().invoke(main, ["students"]).stdout


IMPORT = "from soft_students.students import StudentEntry, RidgeStudentRegressor as R\n"
BROKEN = {
    "raises": ("1 / 0", "x", "ZeroDivisionError"),
    "misspelt": ("", "nothing", "AttributeError"),
    "other": ("entry = 3", "entry", "it is of type int, not a StudentEntry"),
    "nameless": (
        IMPORT + "entry = StudentEntry('no name', None, R, '')",
        "entry",
        "'no name' is not an identifier",
    ),
    "empty": (
        IMPORT + "entry = StudentEntry('e', None, None, '')",
        "entry",
        "neither a classifier nor a regressor",
    ),
    "classless": (
        IMPORT + "entry = StudentEntry('e', dict, None, '')",
        "entry",
        "not a class of scikit-learn estimators",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_package_is_named_and_left_out(install, case):
    source, value, message = BROKEN[case]
    before = set(available())
    install(f"broken-{case}", source, nice=value)
    with pytest.warns(UserWarning, match=f"'nice' of the package broken-{case} 1.2.*{message}"):
        assert set(available()) == before
    with warnings.catch_warnings():  # once is enough
        warnings.simplefilter("error")
        assert set(available()) == before


def test_a_broken_package_leaves_the_others(install):
    install("a-broken", "import nowhere", one="entry")
    install(
        "b-whole",
        IMPORT + "entry = StudentEntry('ridge_again', None, R, 'The same.')",
        two="entry",
    )
    with pytest.warns(UserWarning, match="a-broken"):
        assert "ridge_again" in available()


@pytest.mark.parametrize("taken", ["tree", "twice"])
def test_names_that_are_taken_stay_with_their_first(install, taken):
    source = IMPORT + f"entry = StudentEntry('{taken}', None, R, '{{}}')"
    install("a-first", source.format("first"), one="entry")
    install("b-second", source.format("second"), one="entry")
    with pytest.warns(UserWarning, match="package b-second 1.2 is skipped: another has"):
        entry = available()[taken]
    if taken == "tree":
        assert entry.classifier.__name__ == "DecisionTreeStudentClassifier"
    else:
        assert entry.summary == "first"


def test_a_student_whose_extra_is_missing_is_listed_and_marked(monkeypatch):
    entry = StudentEntry("x", None, None, "", extra="certainly_not_installed")
    assert not entry.is_installed
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert "lightgbm" in available()
    said = json.loads(CliRunner().invoke(main, ["students", "--json"]).stdout)
    assert (said["lightgbm"]["installed"], said["lightgbm"]["extra"]) == (False, "lightgbm")
    assert said["xgboost"]["installed"]
    text = CliRunner().invoke(main, ["students"]).stdout
    assert "pip install 'soft-students[lightgbm]'" in text
