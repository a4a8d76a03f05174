"""The command as a process: signals, pipes, streams."""

import json
import signal
import subprocess
import sys
import time

import numpy as np

COMMAND = (sys.executable, "-m", "softkd")


def test_ctrl_c_in_training_ends_at_once_and_leaves_no_file(teacher, tmp_path):
    arguments = ("distill", "--teacher", teacher, "--epochs", "100000", "--out", tmp_path / "s")
    process = subprocess.Popen(
        (*COMMAND, *arguments),
        stderr=subprocess.PIPE,
        text=True,
        # a job in the background of a shell starts with SIGINT ignored, and would pass that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    process.stderr.readline()  # "Data: ...": the work begins
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "Interrupted. Files are written whole or not at all.\n"
    assert not list(tmp_path.iterdir())


def test_json_is_alone_on_stdout_and_progress_is_for_terminals(teacher, fast, tmp_path):
    arguments = ("distill", "--teacher", teacher, *fast, "--out", tmp_path / "s", "--json")
    done = subprocess.run((*COMMAND, *arguments), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["data"] == "digits"
    assert done.stderr.splitlines() == [
        "Data: digits, on which the model was trained.",
        f"Written: {tmp_path / 's'}",
        "Now the same student from labels alone, to compare (not with --no-baseline).",
    ]


def test_a_reader_that_goes_away_is_no_error_to_report(student, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((20_000, 64), np.float32))
    arguments = ("predict", "--model", student, "--data", tmp_path / "rows.npy", "--proba")
    process = subprocess.Popen(
        (*COMMAND, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("prediction,")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(timeout=60)


def test_predicting_does_without_torch(student, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((2, 64), np.float32))
    arguments = ["predict", "--model", str(student), "--data", str(tmp_path / "rows.npy")]
    program = (
        "import sys\nfrom softkd.shell import main\n"
        f"main({arguments!r}, standalone_mode=False)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
