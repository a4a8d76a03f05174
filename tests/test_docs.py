"""The Python code of pages that are told from beginning to end runs, block after block."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from soft_students import SoftDecisionTreeClassifier, save
from soft_students.datasets import DatasetNotFoundError, load_dataset

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = sorted(f"tutorials/{path.name}" for path in (DOCS / "tutorials").glob("*.md"))


def nothing():
    return {}


def dask():
    pytest.importorskip("distributed")
    return {}


def a_tree():
    """What docs/deployment.md takes for granted: a student's file and some rows."""
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    save(SoftDecisionTreeClassifier(2, epochs=2, random_state=0).fit(X, y), "tree.student")
    return {"X": X, "x": X[0], "X_test": X, "y_test": y}


def needs_mnist():
    try:
        load_dataset("mnist", download=False)
    except DatasetNotFoundError:
        pytest.skip("no MNIST here: set SOFTKD_DATA to a folder of its IDX files")


def without_numbers(text):
    """Figures differ between versions of libraries and processors; what they are of does not."""
    return re.sub(r"\d+(\.\d+)?", "#", text)


@pytest.mark.parametrize(
    ("page", "given"),
    [
        ("pipelines.md", nothing),
        ("students.md", nothing),
        ("scale.md", dask),
        ("evaluation.md", nothing),
        ("deployment.md", a_tree),
        ("explain.md", nothing),
        *((page, nothing) for page in TUTORIALS),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # a method is a check on 48 rows
def test_code_runs(page, given, tmp_path, monkeypatch, capsys):
    if page == "tutorials/mnist.md":
        needs_mnist()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(os.fspath(tmp_path))
    monkeypatch.delitem(sys.modules, "numpy_predictor", raising=False)
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    names = {"__name__": "page", **given()}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    sys.modules.pop("numpy_predictor", None)
    printed = without_numbers(capsys.readouterr().out)
    for shown in re.findall(r"^```text\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        assert without_numbers(shown) in printed


@pytest.mark.parametrize(
    "page",
    [
        *(DOCS.parent / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *sorted(DOCS.glob("*.md")),
        *sorted((DOCS / "tutorials").glob("*.md")),
    ],
    ids=lambda page: page.name,
)
def test_links_and_named_pages_are_there(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(
        r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    )
    relative = [link for link in links if not re.match(r"https?://|mailto:", link)]
    # the reference is generated with the site
    missing = [
        link
        for link in relative
        if not link.startswith("reference/") and not (page.parent / link).exists()
    ]
    named = re.findall(r"docs/[\w/-]+\.(?:md|png)", text)
    assert missing + [name for name in named if not (DOCS.parent / name).exists()] == []
