"""What a command imports before it works, and texts that must agree with what is not imported."""

import subprocess
import sys

import pytest

from softkd.commands.compare import compare
from softkd.commands.label import label
from softkd.shell import main

COMMANDS = main.list_commands(None)

#: Packages that take a noticeable part of a second to import.
SLOW = {"numpy", "scipy", "pandas", "sklearn", "joblib", "torch", "xgboost", "lightgbm"}

#: Runs the command and then writes the names of the imported packages.
PROGRAM = """
import atexit, runpy, sys
packages = lambda: sorted({name.partition(".")[0] for name in sys.modules})
atexit.register(lambda: print("PACKAGES", *packages(), file=sys.stderr))
runpy.run_module("softkd", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def imported(monkeypatch):
    """Return a function that runs a command and returns the packages that were imported."""

    def run(*arguments, code=0, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = subprocess.run(
            (sys.executable, "-c", PROGRAM, *arguments), capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        return set(done.stderr.splitlines()[-1].split()[1:])

    return run


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_group_imports_click_alone(imported, arguments):
    packages = imported(*arguments)
    assert "click" in packages
    assert not packages & {*SLOW, "rich"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_that_is_slow(imported, command):
    assert not imported(command, "--help") & {*SLOW, "rich"}


@pytest.mark.parametrize("command", ["students", "datasets", "methods"])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_lists_import_nothing_that_is_slow(imported, command, form):
    assert not imported(command, *form) & SLOW


def test_one_method_is_described_without_torch(imported):
    assert not imported("methods", "rkd") & SLOW


@pytest.mark.parametrize(
    "words",
    [
        "softkd ",
        "softkd distill --student ",
        "softkd distill --threads 2 --method rkd,",
        "softkd distill --data ",
        "softkd distill --module ",
        "softkd distill --arch ",
        "softkd teach --arch ",
        "softkd compare --criteria accuracy=1 --students soft_tree,",
    ],
)
def test_completion_imports_nothing_that_is_slow(imported, words):
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    packages = imported(_SOFTKD_COMPLETE="bash_complete", **environment)
    assert not packages & {*SLOW, "rich"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["distill"],
        ["distill", "--teacher", "t.pt", "--student", "treee"],
        ["distill", "--targets", "t", "--student", "tree"],
        ["compare", "--teacher", "t.pt", "--students", "tree", "--rank", "ahp"],
        ["teach", "--out", "t.pt"],
    ],
)
def test_bad_usage_is_told_before_anything_slow_is_imported(imported, arguments):
    assert not imported(*arguments, code=2) & SLOW


def choices(command, name):
    (option,) = (option for option in command.params if option.name == name)
    return list(option.type.choices)


def test_names_that_commands_repeat_are_those_of_the_library():
    from soft_students.labelled.label import KINDS
    from soft_students.ranking import METHODS, NORMALIZATIONS

    assert choices(compare, "method") == list(METHODS)
    assert choices(compare, "normalization") == list(NORMALIZATIONS)
    assert choices(label, "kind") == list(KINDS)


def test_every_command_has_a_whole_sentence_in_the_help_of_the_group(done):
    listed = done("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == COMMANDS
    assert all(line.endswith(".") and not line.endswith("..") for line in listed)
