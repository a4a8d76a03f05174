"""Private names of scikit-learn stay in one file, which does without those that have a fallback."""

import ast
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.utils
from scipy.sparse import csr_matrix
from sklearn.utils import _openmp_helpers, validation

import soft_students
import softkd
from soft_students import sklearn_private

FILES = [
    path
    for package in (soft_students, softkd)
    for path in sorted(Path(package.__file__).parent.rglob("*.py"))
    if path.name != "sklearn_private.py"
]


def private_names(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "sklearn"]
        else:
            continue
        yield from (name for name in names if "._" in name)


def test_no_other_file_imports_a_private_name():
    assert list(private_names("from sklearn.tree._tree import Tree")) == ["sklearn.tree._tree.Tree"]
    assert list(private_names("import sklearn.utils._mask")) == ["sklearn.utils._mask"]
    assert len(FILES) > 100
    found = {str(path): list(private_names(path.read_text())) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {}


def test_every_name_can_be_imported():
    for name in sklearn_private.__all__:
        assert getattr(sklearn_private, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Leaf'"):
        sklearn_private.Leaf  # noqa: B018


@pytest.fixture
def without(monkeypatch):
    """The module as it is where scikit-learn has none of the names that have a fallback."""
    monkeypatch.delattr(validation, "_num_samples")
    monkeypatch.delattr(sklearn.utils, "_safe_indexing")
    monkeypatch.delattr(_openmp_helpers, "_openmp_effective_n_threads")
    spec = importlib.util.spec_from_file_location("without", sklearn_private.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_given(rows):
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix, pd.DataFrame, np.ndarray.tolist])
def test_fallbacks_do_the_same(without, kind):
    X = kind(np.arange(12.0).reshape(4, 3))
    assert without.num_samples(X) == sklearn_private.num_samples(X) == 4
    for rows in ([2], np.array([3, 0, 3])):
        expected = sklearn_private.safe_indexing(X, rows)
        found = without.safe_indexing(X, rows)
        assert type(found) is type(expected)
        np.testing.assert_array_equal(as_given(found), as_given(expected))
    assert without.effective_n_threads() >= 1
    assert without.num_samples is not sklearn_private.num_samples
