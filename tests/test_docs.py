"""The Python code of pages that are told from beginning to end runs, block after block."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from soft_students import SoftDecisionTreeClassifier, save

DOCS = Path(__file__).parents[1] / "docs"


def nothing():
    return {}


def a_tree():
    """What docs/deployment.md takes for granted: a student's file and some rows."""
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    save(SoftDecisionTreeClassifier(2, epochs=2, random_state=0).fit(X, y), "tree.student")
    return {"X": X, "x": X[0], "X_test": X, "y_test": y}


@pytest.mark.parametrize(
    ("page", "given"),
    [("pipelines.md", nothing), ("evaluation.md", nothing), ("deployment.md", a_tree)],
)
def test_code_runs(page, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(os.fspath(tmp_path))
    monkeypatch.delitem(sys.modules, "numpy_predictor", raising=False)
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    names = {"__name__": "page", **given()}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    sys.modules.pop("numpy_predictor", None)
