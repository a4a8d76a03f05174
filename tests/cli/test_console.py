"""Output on consoles of any encoding and width, and names that a terminal would obey."""

import io
import os
import pty
import re
import subprocess
import sys

import click
import numpy as np
import pandas as pd
import pytest
from rich.table import Table

from soft_students import LogisticStudentClassifier, save
from softkd.console import any_text, escaped
from softkd.output import print_table

SYMBOLS = "\u00b5s/row \u2193 \u00d70.3 R\u00b2 \u2265 1 \u2026"


class Stream(io.TextIOWrapper):
    """A console in memory."""

    def __init__(self, encoding, terminal):
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def printed(monkeypatch):
    """Return a function that calls another with a console as stdout, and returns what it shows."""

    def run(write, encoding="utf-8", *, width=None):
        stream = Stream(encoding, terminal=width is not None)
        monkeypatch.setenv("COLUMNS", str(width or 80))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")  # a dumb one always has 80 columns
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            with any_text():
                write()
        text = stream.buffer.getvalue().decode(encoding)
        return text if width is None else re.sub(r"\x1b\[[13;]*m|\x1b\[0m", "", text)  # bold

    return run


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "us/row lower x0.3 R2 >= 1 ... \\xe9 \\u4e2d"),
        ("latin-1", "\xb5s/row lower \xd70.3 R\xb2 >= 1 ... \xe9 \\u4e2d"),
        ("cp1252", "\xb5s/row lower \xd70.3 R\xb2 >= 1 \u2026 \xe9 \\u4e2d"),
        ("cp932", "us/row \u2193 \xd70.3 R2 >= 1 \u2026 \\xe9 \u4e2d"),
        ("cp936", "us/row \u2193 \xd70.3 R2 \u2265 1 \u2026 \xe9 \u4e2d"),
        ("utf-8", f"{SYMBOLS} \xe9 \u4e2d"),
    ],
)
def test_characters_that_an_encoding_lacks_are_replaced(printed, encoding, expected):
    text = f"{SYMBOLS} \xe9 \u4e2d"
    assert printed(lambda: click.echo(text), encoding) == f"{expected}\n"
    assert printed(lambda: print(text), encoding) == f"{expected}\n"


def results():
    table = Table(title="\u00b5: three students, in brackets 95% intervals")
    table.add_column("", no_wrap=True)
    for name in ("accuracy \u2191", "soft cross-entropy \u2193", "bytes", "\u00b5s/row"):
        table.add_column(name, justify="right")
    table.add_row(
        "soft_tree", "98.25% [97.01%, 99.12%]", "0.1234 [0.1111, 0.1357]", "814,475", "179"
    )
    table.add_row("\u51b3\u7b56\u6811 [/x] :smile:", *FIGURES[4:6], "1", FIGURES[6])
    return table


FIGURES = [
    "98.25% [97.01%, 99.12%]", "0.1234 [0.1111, 0.1357]", "814,475", "179", "1.00%", "2.5000",
    "1,234,567",
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252", "cp932", "cp936"])
@pytest.mark.parametrize("width", [None, 20, 40, 41, 60, 79, 80, 100, 200])
def test_no_figure_of_a_table_is_cut(printed, encoding, width):
    text = printed(lambda: print_table(results()), encoding, width=width)
    for figure in FIGURES:
        assert figure in text
    assert "[/x] :smile:" in text  # no markup
    if encoding in ("utf-8", "cp936"):
        assert "\u51b3\u7b56\u6811" in text
    if width is None:
        rows = text.splitlines()
        assert sum("soft_tree" in row and "179" in row for row in rows) == 1


@pytest.mark.parametrize("width", [100, 200])
def test_a_table_that_fits_has_its_columns_side_by_side(printed, width):
    text = printed(lambda: print_table(results()), width=width)
    (row,) = (line for line in text.splitlines() if "soft_tree" in line)
    assert "98.25%" in row
    assert "179" in row
    assert max(map(len, text.splitlines())) <= width


def test_text_columns_wrap_and_lose_nothing(printed):
    words = " ".join(f"word{i}" for i in range(40)) + " " + "x" * 90

    def write():
        table = Table("name", "meaning")
        table.add_row("long", words)
        print_table(table)

    text = printed(write, width=40)
    assert max(map(len, text.splitlines())) <= 40
    assert "".join(text.split()).replace("long", "").endswith("".join(words.split())[-40:])
    assert all(f"word{i}" in text for i in range(40))


@pytest.mark.parametrize(
    "name", ["\x1b[31mred", "\x1b]0;title\x07", "a\x08b", "\x9b2J", "a\rb", "\u202eevil", "\x7f"]
)
def test_a_terminal_is_shown_control_characters(printed, name):
    def write():
        click.echo(f"class {name}\n\tend")
        table = Table(title=name)
        table.add_column(name, justify="right")
        table.add_row(name)
        print_table(table)

    text = printed(write, width=80)
    assert not set(text) & set("\x1b\x07\x08\x9b\r\u202e\x7f")
    assert f"class {escaped(name)}\n\tend\n" in text
    assert text.count(escaped(name)) == 4


def test_a_file_keeps_the_text(printed):
    assert printed(lambda: print("\x1b[31mred\x1b[0m")) == "\x1b[31mred\x1b[0m\n"


def test_streams_are_as_before_afterwards():
    before = sys.stdout, sys.stderr
    with pytest.raises(KeyError), any_text():
        raise KeyError
    assert (sys.stdout, sys.stderr) == before


@pytest.fixture(scope="module")
def gift(tmp_path_factory):
    """Return a student with names that a terminal would obey, and rows for it."""
    folder = tmp_path_factory.mktemp("gift")
    X = pd.DataFrame(
        {"plain": np.arange(30.0), "\x1b[2J\nforged: yes\x1b]0;t\x07": np.arange(30.0) % 2}
    )
    y = np.where(X.plain > 15, "\x1b[31mred\x1b[0m", "good\x08\x08bad\nforged: yes")
    save(LogisticStudentClassifier().fit(X, y), folder / "gift.student")
    X.assign(y=y).to_csv(folder / "rows.csv", index=False)
    return folder


def on_terminal(folder, *arguments):
    master, slave = pty.openpty()
    with subprocess.Popen(
        (sys.executable, "-m", "softkd", *arguments),
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "80"},
    ):
        os.close(slave)
        received = b""
        try:
            while part := os.read(master, 65_536):
                received += part
        except OSError:  # Linux's word for the end
            pass
    os.close(master)
    return received


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "gift.student"),
        ("predict", "--model", "gift.student", "--data", "rows.csv"),
        ("predict", "--model", "gift.student", "--data", "rows.csv", "--proba"),
        ("explain", "gift.student", "--data", "rows.csv", "--target", "y", "--row", "0"),
        ("evaluate", "--model", "gift.student", "--data", "rows.csv", "--target", "y", "--full",
         "--bootstrap", "0"),
        ("evaluate", "--model", "gift.student", "--data", "rows.csv", "--target", "\x1b[31mno"),
        ("info", "\x1b[31mno.student"),
    ],
)  # fmt: skip
def test_names_in_files_are_shown_escaped(gift, arguments):
    received = on_terminal(gift, *arguments)
    assert received
    assert not set(received) & set(b"\x1b\x07\x08")
    if arguments[0] == "info":
        assert b"\nforged" not in received


def test_a_pipe_gets_names_as_they_are(gift, done):
    printed = done("predict", "--model", gift / "gift.student", "--data", gift / "rows.csv").stdout
    assert "\x1b[31mred\x1b[0m" in printed
