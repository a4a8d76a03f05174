"""Parts that run once, in this process or others, whatever befalls some of them."""

import os
import signal

import pytest

from soft_students.resumable import run_missing

PARTS = {"two": 2, "three": 3, "four": 4}


@pytest.fixture
def keep(tmp_path):
    """Return what reads the result of a part, and what computes and keeps it."""

    def earlier(name, number):
        path = tmp_path / name
        return int(path.read_text()) if path.exists() else None

    def run(name, number):
        (tmp_path / name).write_text(str(number**2))
        return number**2

    return earlier, run


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_finished_parts_come_first_and_are_not_run_again(keep, n_jobs):
    earlier, run = keep
    run("four", 5)
    found = run_missing(PARTS, earlier, run, n_jobs=n_jobs)
    assert next(found) == ("four", 25)
    assert dict(found) == {"two": 4, "three": 9}
    again = run_missing(PARTS, earlier, lambda *_: pytest.fail("run again"), n_jobs=n_jobs)
    assert list(again) == [("two", 4), ("three", 9), ("four", 25)]


def test_one_part_alone_runs_in_this_process(keep):
    earlier, run = keep
    run("two", 2), run("three", 3)
    assert (
        dict(run_missing(PARTS, earlier, lambda *_: os.getpid(), n_jobs=2))["four"] == os.getpid()
    )


def dies_of_three(keep):
    earlier, run = keep

    def die(name, number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(name, number)

    return earlier, die


def test_a_part_whose_process_dies_does_not_affect_the_others(keep):
    found = run_missing(PARTS, *dies_of_three(keep), n_jobs=2, died=lambda name: f"no {name}")
    assert dict(found) == {"two": 4, "three": "no three", "four": 16}


def test_a_death_that_nothing_stands_in_for_is_an_error(keep):
    parts = {"three": 3, "two": 2}
    with pytest.raises(RuntimeError, match=r"process of three died.*what is finished is kept"):
        list(run_missing(parts, *dies_of_three(keep), n_jobs=2))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_are_those_of_the_part(keep, n_jobs):
    def fail(name, number):
        raise ZeroDivisionError(name)

    with pytest.raises(ZeroDivisionError, match="t"):
        list(run_missing(PARTS, keep[0], fail, n_jobs=n_jobs))


def test_threads_are_shared_among_the_processes(keep):
    def threads(name, number):
        return int(os.environ["OMP_NUM_THREADS"])

    found = run_missing(PARTS, keep[0], threads, n_jobs=2, threads=7)
    assert dict(found) == dict.fromkeys(PARTS, 3)
