"""Tables of the docs are the catalogues, and the code of docs/methods.md runs."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tables)


@pytest.mark.parametrize("path", tables.TABLES, ids=lambda path: path.name)
def test_tables_are_the_catalogues(path):
    assert path.read_text(encoding="utf-8") == tables.page(path), "run: python docs/tables.py"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_code_runs(capsys):
    text = (DOCS / "methods.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "methods_page"}
    for block in blocks:
        exec(compile(block, "methods.md", "exec"), names)
    assert "'at'" in capsys.readouterr().out
    terms = names["student"].history_[-1]
    assert "labels" in terms


def test_adding_a_method_takes_thirty_lines():
    text = (DOCS / "tutorials" / "own_method.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n([^`]*?class EmbeddingRegression.*?)```", text, re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 30
