import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch

from soft_students.students.processes import launch


def add_up(fabric, training):
    total = fabric.all_reduce(torch.tensor(float(fabric.global_rank + 1)), reduce_op="sum")
    return training, float(total), np.arange(100_000)  # more than a pipe holds


def fail_in_the_second(fabric, training):
    if fabric.global_rank == 1:
        raise FileNotFoundError(2, "There is no such\nfolder", training)
    fabric.barrier()


def test_one_process_trains_here():
    here = []
    answer = launch(
        lambda fabric, training: here.append(training) or fabric.world_size,
        "it",
        device="cpu",
        n_devices=1,
        n_nodes=1,
    )
    assert (answer, here) == (1, ["it"])


def test_what_cannot_be_sent_is_told():
    with pytest.raises(ValueError, match=r"but it cannot be: .*lambda"):
        launch(lambda fabric, training: None, "it", device="cpu", n_devices=2, n_nodes=1)


@pytest.mark.slow
def test_two_processes_answer(monkeypatch):
    monkeypatch.delenv("MASTER_PORT", raising=False)
    training, total, numbers = launch(add_up, "it", device="cpu", n_devices=2, n_nodes=1)
    assert (training, total, len(numbers)) == ("it", 3.0, 100_000)
    assert "MASTER_PORT" not in os.environ


@pytest.mark.slow
def test_the_first_reason_is_told():
    with pytest.raises(FileNotFoundError, match="There is no such\nfolder") as raised:
        launch(fail_in_the_second, "here", device="cpu", n_devices=2, n_nodes=1)
    assert raised.value.filename == "here"


def kill_one(fabric, rank):
    fabric.barrier()
    if fabric.global_rank == rank:
        os.kill(os.getpid(), signal.SIGKILL)
    for _ in range(1000):
        fabric.all_reduce(torch.ones(1))


def exit_from_one(fabric, training):
    if fabric.global_rank == 1:
        os._exit(3)
    fabric.barrier()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_told_as_such(rank, capfd):
    with pytest.raises(ChildProcessError) as raised:
        launch(kill_one, rank, device="cpu", n_devices=2, n_nodes=1)
    assert str(raised.value) == (
        f"Process {rank + 1} of 2 that trained together was ended by SIGKILL, as the system does "
        "for lack of memory. Free memory, train with fewer processes (n_devices, --devices), or go "
        "on from a checkpoint (resume=True, --resume)."
    )
    assert "gloo" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_process_that_ends_without_a_word_is_told_as_such():
    with pytest.raises(ChildProcessError, match=r"Process 2 of 2 .* ended with the exit code 3"):
        launch(exit_from_one, None, device="cpu", n_devices=2, n_nodes=1)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[third_party/gloo/gloo/transport/tcp/pair.cc:537] Connection reset by peer"),
        torch.distributed.DistNetworkError("failed to recv, got 0 bytes"),
    ],
)
def test_a_lost_connection_is_told_without_the_words_of_gloo(error):
    def fail(fabric, training):
        raise error

    with pytest.raises(ChildProcessError, match="connection to another process") as raised:
        launch(fail, None, device="cpu", n_devices=1, n_nodes=1)
    assert "gloo" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_other_failures_keep_their_words():
    def fail(fabric, training):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        launch(fail, None, device="cpu", n_devices=1, n_nodes=1)


SCRIPT = """
import sys, time
from pathlib import Path
from soft_students.students.processes import launch

def wait(fabric, folder):
    Path(folder, str(fabric.global_rank)).touch()
    time.sleep(600)

if __name__ == "__main__":
    launch(wait, sys.argv[1], device="cpu", n_devices=2, n_nodes=1)
"""


@pytest.mark.slow
def test_an_interrupted_process_ends_those_that_it_has_started(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path], stderr=subprocess.PIPE
    )
    while not (tmp_path / "0").exists() or not (tmp_path / "1").exists():
        assert process.poll() is None
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
    assert len(started) >= 2
    process.send_signal(signal.SIGINT)  # to it alone
    _, told = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in told
    assert not psutil.wait_procs(started, timeout=30)[1]
