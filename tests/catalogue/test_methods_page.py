"""docs/methods.md tells the truth: its code runs, and its table is the catalogue."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def methods_table():
    spec = importlib.util.spec_from_file_location("methods_table", DOCS / "methods_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_is_the_catalogue():
    generator = methods_table()
    shown = generator.PAGE.read_text(encoding="utf-8")
    assert shown == generator.page(), "run: python docs/methods_table.py"


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
