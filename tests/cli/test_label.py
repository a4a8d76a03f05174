import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from sklearn.datasets import load_digits

from soft_students.labelled import LabelledParts
from soft_students.teachers import load_teacher

X = (load_digits().data / 16).astype(np.float32)


@pytest.fixture
def rows(tmp_path):
    """Return a folder of three NPY files of digits."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for i in range(3):
        np.save(folder / f"{i}.npy", X[i * 500 : (i + 1) * 500])
    return folder


def arguments(teacher, rows, out, *more):
    return ("label", "--teacher", teacher, "--data", f"{rows}/*.npy", "--out", out, *more)


def contents(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
    }


def test_label(done, teacher, rows, tmp_path):
    result = done(*arguments(teacher, rows, tmp_path / "out", "--workers", 0, "--json"))
    told = json.loads(result.stdout)
    assert (told["files"], told["parts"], told["rows"], told["kept"]) == (3, 3, 1500, 0)
    assert (told["labelled"], told["rows_labelled"], told["failures"]) == (3, 1500, {})
    assert result.stderr == ""  # no progress: this is no terminal
    parts = LabelledParts(tmp_path / "out")
    np.testing.assert_allclose(
        parts[0].targets(), load_teacher(teacher).logits(X[:500]), rtol=1e-5, atol=1e-4
    )
    result = done(*arguments(teacher, rows, tmp_path / "out", "--workers", 0))
    assert result.stdout.startswith(f"{tmp_path / 'out'}: 0 parts labelled, 3 kept, 0 rows in ")


def test_probabilities(done, teacher, rows, tmp_path):
    more = ("--workers", 0, "--kind", "probabilities", "--temperature", 4)
    done(*arguments(teacher, rows, tmp_path / "out", *more))
    parts = LabelledParts(tmp_path / "out")
    assert (parts.kind, parts.temperature) == ("probabilities", 4.0)


def test_bad_files_are_named_and_the_others_labelled(softkd, teacher, rows, tmp_path):
    (rows / "1.npy").write_bytes((rows / "1.npy").read_bytes()[:1000])
    np.save(rows / "3.npy", X[:10, :63])
    bad = X[:20].copy()
    bad[7] = np.nan
    np.save(rows / "4.npy", bad)
    result = softkd(*arguments(teacher, rows, tmp_path / "out", "--workers", 0, "--json"))
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["labelled"] == 2
    assert {os.path.basename(name) for name in told["failures"]} == {"1.npy", "3.npy", "4.npy.0"}
    assert "1.npy' cannot be read as an NPY file" in result.stderr
    assert "3.npy' has 63 features, but the teacher takes 64" in result.stderr
    assert "4.npy' (rows 0 to 19) has no value (NaN) in 1 of 20 rows" in result.stderr
    assert "Error: 3 files or parts could not be labelled." in result.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--scheduler", "tcp://localhost:1", "--workers", 2), "--scheduler has its own"),
        (("--temperature", 2), "--temperature belongs to --kind probabilities"),
        (("--temperature", 0, "--kind", "probabilities"), "is not in the range x>0"),
        (("--data", "nowhere/*.parquet"), "No file matches --data 'nowhere/*.parquet'"),
    ],
)
def test_bad_usage(softkd, teacher, rows, tmp_path, more, text):
    result = softkd(*arguments(teacher, rows, tmp_path / "out", *more))
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_other_labels_need_force(softkd, done, teacher, rows, tmp_path):
    command = arguments(teacher, rows, tmp_path / "out", "--workers", 0)
    done(*command)
    result = softkd(*command, "--kind", "probabilities")
    assert result.exit_code == 1
    assert "kind was 'logits' and is 'probabilities'" in result.stderr
    done(*command, "--kind", "probabilities", "--force")
    assert LabelledParts(tmp_path / "out").kind == "probabilities"


def test_no_scheduler(softkd, teacher, rows, tmp_path, monkeypatch):
    monkeypatch.setattr("soft_students.dask.cluster._PATIENCE", 0.2)
    more = ("--scheduler", "tcp://127.0.0.1:9")
    result = softkd(*arguments(teacher, rows, tmp_path / "out", *more))
    assert result.exit_code == 1
    assert "There is no Dask scheduler at 'tcp://127.0.0.1:9'. Start one with" in result.stderr


def test_without_the_extra(softkd, teacher, rows, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = softkd(*arguments(teacher, rows, tmp_path / "out"))
    assert result.exit_code == 1
    assert "need Dask. Install it with: pip install 'soft-students[scale]'" in result.stderr


def start(*command):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "softkd", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def wait_for_parts(process, out, n):
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.json"))) < n + 1:  # and the manifest
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def labellers(process):
    """Return the worker processes, which hold the teacher."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture
def many(tmp_path):
    """Return a folder of rows that takes a second or more to label, in parts of 2,000."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(4):
        np.save(folder / f"{i}.npy", np.tile(X[:1000], (50, 1)))
    return folder


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(done, teacher, many, tmp_path):
    done(*arguments(teacher, many, tmp_path / "whole", "--workers", 0, "--part-rows", 2000))
    out = tmp_path / "out"
    process = start(*arguments(teacher, many, out, "--workers", 2, "--part-rows", 2000))
    wait_for_parts(process, out, 5)
    labellers(process)[0].send_signal(signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "100 parts labelled, 200,000 rows" in stdout
    assert "Traceback" not in stderr
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_leaves_whole_parts(done, teacher, many, tmp_path, workers):
    done(*arguments(teacher, many, tmp_path / "whole", "--workers", 0, "--part-rows", 2000))
    out = tmp_path / "out"
    command = arguments(teacher, many, out, "--workers", workers, "--part-rows", 2000)
    process = start(*command)
    wait_for_parts(process, out, 5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "Interrupted. Files are written whole or not at all."
    whole, left = contents(tmp_path / "whole"), contents(out)
    assert 5 < len(left) < len(whole)
    assert all(whole[name] == data for name, data in left.items())
    done(*command[:-4], "--workers", 0, "--part-rows", 2000)
    assert contents(out) == whole
