"""Ctrl-C while `softkd` is being imported: one line, exit code 130."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: Both ways to start the command.
MODULE = "import runpy; runpy.run_module('softkd', run_name='__main__', alter_sys=True)"
SCRIPT = "import runpy; runpy.run_path({!r}, run_name='__main__')".format(
    str(Path(sys.executable).with_name("softkd"))
)

INTERRUPTED = "Interrupted. Files are written whole or not at all.\n"


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the command with a finder that is asked for modules first."""

    def run(finder, start, *arguments):
        done = _run(finder, start, *arguments, folder=tmp_path)
        assert not list(tmp_path.iterdir())
        return done

    return run


def _run(finder, start, *arguments, folder):
    program = (
        f"import os, signal, sys\nclass Finder:\n{finder}\nsys.meta_path.insert(0, Finder)\n{start}"
    )
    return subprocess.run(
        (sys.executable, "-c", program, *arguments),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def pressed(module):
    """Return the source of a finder that presses Ctrl-C when a module is looked for."""
    return (
        "    def find_spec(name, *_):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(Finder)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
    )


@pytest.mark.parametrize("start", [MODULE, SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("softkd.shell", ["--help"]),
        ("click", ["--version"]),
        ("click.core", ["students"]),
        ("softkd.commands.distill", ["distill", "--teacher", "t.pt"]),
        ("softkd.distilling", ["distill", "--teacher", "t.pt"]),
        ("numpy", ["predict", "--model", "s", "--data", "x.csv"]),
        ("torch", ["teach", "--data", "digits", "--out", "t.pt"]),
    ],
)
def test_while_a_module_is_imported(run, start, module, arguments):
    done = run(pressed(module), start, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", INTERRUPTED)


def test_within_a_callback_it_is_not_lost(run):
    finder = (
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'softkd.commands.teach':\n"
        "            sys.meta_path.remove(Finder)\n"
        "            Finder()\n"
    )
    done = run(finder, MODULE, "teach", "--data", "digits", "--out", "t.pt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", INTERRUPTED)


def test_an_import_error_that_it_caused_is_no_failure(run):
    finder = (
        "    def find_spec(name, *_):\n"
        "        if name == 'softkd.commands.students':\n"
        "            try:\n"
        "                raise KeyboardInterrupt\n"
        "            except KeyboardInterrupt as error:\n"
        "                raise ImportError('initialization failed') from error\n"
    )
    done = run(finder, MODULE, "students")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", INTERRUPTED)


def test_other_errors_in_callbacks_are_still_shown(run):
    finder = (
        "    def __del__(self):\n"
        "        raise ValueError('shown')\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'softkd.commands.datasets':\n"
        "            sys.meta_path.remove(Finder)\n"
        "            Finder()\n"
    )
    done = run(finder, MODULE, "datasets")
    assert done.returncode == 0
    assert "ValueError: shown" in done.stderr
