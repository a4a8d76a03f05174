"""The registries list everything and import nothing heavy; exports are made from them."""

import inspect
import subprocess
import sys

import pytest

import soft_students
from soft_students import methods, students
from soft_students.methods.catalog import exported
from soft_students.methods.facts import read_exports, read_method

HEAVY = ("joblib", "lightgbm", "numpy", "scipy", "sklearn", "torch", "xgboost")


@pytest.mark.parametrize(
    "code",
    [
        "import soft_students; dir(soft_students)",
        "from soft_students import students; dir(students); students.available()['tree'].summary",
        "import soft_students.students.registry",
        "from soft_students import methods; dir(methods); methods.entries()['crd'].defaults",
        "import soft_students.methods.catalog",
    ],
)
def test_listing_imports_nothing_heavy(code):
    seen = f"{code}; import sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", [soft_students, students, methods], ids=lambda m: m.__name__)
def test_every_public_name_is_there_and_listed_once(module):
    assert len(set(module.__all__)) == len(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        module.Nothing  # noqa: B018


def test_classes_of_students_are_public_names():
    for entry in students.available().values():
        for cls in entry.classes:
            if cls.__module__.startswith("soft_students."):
                assert getattr(soft_students, cls.__name__) is cls
                assert getattr(students, cls.__name__) is cls


@pytest.mark.parametrize("key", sorted(methods.entries()))
def test_facts_read_from_the_file_are_those_of_the_class(key):
    entry, method = methods.entries()[key], methods.available()[key]
    assert entry.load() is method
    for fact in ("key", "title", "paper", "needs"):
        assert getattr(entry, fact) == getattr(method, fact)
    assert entry.doc == inspect.cleandoc(method.__doc__)
    assert dict(entry.defaults) == method().get_params(deep=False)
    assert getattr(methods, entry.class_name) is method


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes the file of a method; a fresh name each time."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, body):
        (tmp_path / f"{name}.py").write_text(body)
        return name

    return write


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("facts_without_class", "x = 1", "no such class"),
        ("facts_without_title", "class M:\n    key = 'm'", "does not declare 'title'"),
        ("facts_computed", "class M:\n    key = 'm'.upper()", "'key' must be a literal.*upper"),
        ("facts_of_a_name", "class M:\n    key = KEY", "'key' must be a literal.*KEY"),
    ],
)
def test_facts_that_cannot_be_read_are_named(written, name, body, message):
    with pytest.raises(ValueError, match=message):
        read_method(written(name, body), "M")


def test_without_sources_the_class_is_imported(monkeypatch):
    wanted = read_method("soft_students.methods.dist", "DIST")
    names = read_exports("soft_students.methods.dist")
    monkeypatch.setattr("soft_students.methods.facts._source", lambda module: None)
    assert read_method.__wrapped__("soft_students.methods.dist", "DIST") == wanted
    assert read_exports.__wrapped__("soft_students.methods.dist") == names


def test_a_file_without_all_offers_its_class_alone(written, monkeypatch):
    name = written("offers_nothing", "class M:\n    pass")
    monkeypatch.setattr("soft_students.methods.catalog._METHODS", [f"{name}:M"])
    assert exported() == {"M": name}
