"""Files and functions of the package stay short enough to be read in one go."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("soft_students", "cli") for path in (ROOT / room).rglob("*.py"))

#: Lines of a file; lines of a function from its name on, without the docstring.
MOST_OF_FILE, MOST_OF_FUNCTION = 450, 80


def long_functions(source, most=MOST_OF_FUNCTION):
    """Return the functions and methods of more lines, with their number."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines -= docstring.end_lineno - docstring.lineno + 1
            if lines > most:
                found[node.name] = lines
    return found


def test_what_is_counted():
    source = 'def one():\n    """Two\n\n    lines."""\n    a = 1\n    return a\n'
    assert long_functions(source, most=3) == {}
    assert long_functions(source, most=2) == {"one": 3}
    assert len(FILES) > 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MOST_OF_FILE
    assert long_functions(source) == {}
