"""What is counted, and what is timed, on a clock that moves only when a model takes its time."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from torch import nn

from soft_students import SoftDecisionTreeClassifier, as_teacher, save
from soft_students.evaluation import (
    bundle_bytes,
    cost,
    latency,
    latency_us,
    parameter_bytes,
    throughput,
)


def test_the_size_of_a_student_is_that_of_its_file(tmp_path):
    X, y = load_iris(return_X_y=True)
    student = SoftDecisionTreeClassifier(depth=2, epochs=1).fit(X, y)
    assert bundle_bytes(student) == save(student, tmp_path / "a").stat().st_size


def test_the_size_of_a_network_is_that_of_its_parameters_and_buffers():
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2).half())
    # 4*3 + 3 weights, 2*3 + 2*3 of batch norm in float32 and its count in int64; 3*2 + 2 halves
    expected = 4 * (15 + 12) + 8 + 2 * 8
    assert parameter_bytes(as_teacher(network)) == expected


def test_the_size_of_an_ensemble_is_the_sum():
    networks = [nn.Linear(4, 3), nn.Linear(4, 3)]
    assert parameter_bytes(as_teacher(networks)) == 2 * 4 * 15


def test_what_does_not_show_its_parameters_has_no_size():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    assert parameter_bytes(as_teacher(model)) is None


class Clock:
    """In the place of the module `time`."""

    def __init__(self):
        self.now = 0

    def sleep(self, seconds):
        self.now += round(seconds * 1e9)

    def perf_counter_ns(self):
        return self.now

    def perf_counter(self):
        return self.now / 1e9


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(cost, "time", clock)
    return clock


class Sleeper:
    """Records the rows it is asked, each of which takes so many seconds."""

    def __init__(self, clock, *seconds):
        self.clock = clock
        self.seconds = seconds
        self.rows = []

    def predict(self, X):
        seconds = self.seconds[len(self.rows) % len(self.seconds)]
        self.rows.append(X)
        self.clock.sleep(seconds)
        return np.zeros(len(X))


def test_the_latency_is_a_median_in_microseconds(clock):
    # Two calls in three take two milliseconds, so the median does; the mean would be far more.
    assert latency_us(Sleeper(clock, 0.002, 0.002, 0.03), np.zeros((3, 1))) == 2_000


def test_a_slow_first_call_does_not_count(clock):
    class SlowStart(Sleeper):
        def predict(self, X):
            if not self.rows:
                self.clock.sleep(0.5)
            return super().predict(X)

    assert latency(SlowStart(clock, 0.001), np.zeros((3, 1))).high == 1_000


def test_a_slow_model_is_asked_less_often(clock, monkeypatch):
    monkeypatch.setattr(cost, "_MAX_SECONDS", 0.1)
    sleeper = Sleeper(clock, 0.04)
    assert latency_us(sleeper, np.zeros((3, 1))) == 40_000
    assert len(sleeper.rows) == 6  # one to warm up, and five


@pytest.mark.parametrize(
    "X",
    [
        np.arange(6.0).reshape(3, 2),
        pd.DataFrame({"a": [0.0, 1, 2], "b": ["x", "y", "z"]}),
        [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
    ],
    ids=["array", "frame", "list"],
)
def test_every_row_is_asked_alone_and_in_its_own_container(clock, X):
    sleeper = Sleeper(clock, 0.0)
    latency_us(sleeper, X)
    assert all(type(row) is type(X) and len(row) == 1 for row in sleeper.rows)
    asked = {str(np.asarray(row).tolist()) for row in sleeper.rows}
    assert asked == {str([row]) for row in np.asarray(X).tolist()}


def test_no_rows_are_refused(clock):
    with pytest.raises(ValueError, match="at least one row"):
        latency_us(Sleeper(clock, 0.0), np.empty((0, 2)))


def test_threads_are_left_as_they_are(clock):
    before = torch.get_num_threads()
    latency_us(Sleeper(clock, 0.0), np.zeros((3, 1)))
    assert torch.get_num_threads() == before


def test_the_spread_of_the_latency_is_that_of_the_calls(clock, monkeypatch):
    monkeypatch.setattr(cost, "_MAX_SECONDS", 0.4)
    found = latency(Sleeper(clock, 0.001, 0.004, 0.008), np.zeros((3, 1)))
    assert (found.low, found.median, found.high) == (1_000, 4_000, 8_000)
    assert 2 < found.calls < 500
    assert found.threads == cost.n_threads() >= torch.get_num_threads()


def test_the_throughput_is_of_a_thousand_rows(clock, monkeypatch):
    monkeypatch.setattr(cost, "_MAX_BATCH_SECONDS", 0.2)
    sleeper = Sleeper(clock, 0.02)
    found = throughput(sleeper, np.arange(30.0)[:, None])
    assert all(np.array_equal(rows[:, 0], np.arange(1000) % 30) for rows in sleeper.rows)
    np.testing.assert_allclose([found.low, found.median, found.high], 50_000)
    assert found.calls == len(sleeper.rows) - 1


def test_a_batch_that_takes_too_long_is_asked_twice(clock, monkeypatch):
    monkeypatch.setattr(cost, "_MAX_BATCH_SECONDS", 0.05)
    sleeper = Sleeper(clock, 0.06)
    assert throughput(sleeper, np.zeros((2, 1))).calls == 1
    assert len(sleeper.rows) == 2
    with pytest.raises(ValueError, match="throughput needs at least one row"):
        throughput(sleeper, np.empty((0, 1)))
