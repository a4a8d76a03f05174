"""How many single rows of MNIST a second `softkd serve` answers, and how soon.

    python benchmarks/serve.py --out benchmarks/results/serve.json

A soft tree of depth 8 (255 gates of 784 weights; one epoch on labels, since the speed does not
depend on what it has learnt) is served by a process of its own. This process is the client, on the
same machine. First it sends requests at random moments, `--rate` of them a second on average,
whether or not earlier ones have been answered; the time of each counts from the moment at which it
was due, not from when a connection was free. Then it has every connection ask again as soon as it
is answered, which shows the greatest rate. Both are done with rows as JSON, as `json.dumps` writes
them, and as float32. The first answers are compared with those of Python. The CPU time of the
server is what its /metrics tell.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

import soft_students
from soft_students.datasets import load_dataset

AIM = {"requests_per_s": 1000, "p99_ms": 50}
KINDS = {"json": "application/json", "float32": "application/octet-stream"}


class Connection(asyncio.Protocol):
    """One connection that stays open; as little work as HTTP allows."""

    def __init__(self, on_answer: Callable[[Connection, int, bytes], None]) -> None:
        self._on_answer = on_answer
        self._received = b""
        self.request = -1

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def send(self, request: int, message: bytes) -> None:
        """Send one request."""
        self.request = request
        self.transport.write(message)

    def data_received(self, data: bytes) -> None:
        """Gather one answer."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found:
            length = int(re.search(rb"content-length: (\d+)", head)[1])
            if len(body) >= length:
                self._received = b""
                self._on_answer(self, int(head[9:12]), body)


def messages(X: np.ndarray, kind: str, port: int) -> list[bytes]:
    """Return one request a row."""
    bodies = [
        row.astype("<f4").tobytes()
        if kind == "float32"
        else json.dumps({"rows": [row.tolist()]}).encode()
        for row in X
    ]
    return [
        (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {KINDS[kind]}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in bodies
    ]


async def drive(
    port: int, requests: list[bytes], due: np.ndarray | None, seconds: float, connections: int
) -> tuple[dict[str, Any], dict[int, bytes]]:
    """Send requests when they are due, or one after another on each connection.

    Returns
    -------
    figures : dict
    bodies : dict of int to bytes
        The answers to the first request for each row.
    """
    loop = asyncio.get_running_loop()
    idle: deque[Connection] = deque()
    late: deque[int] = deque()
    n_due = sys.maxsize if due is None else len(due)
    took: list[float] = []
    statuses: dict[int, int] = {}
    bodies: dict[int, bytes] = {}
    sent_at: dict[int, float] = {}
    done = loop.create_future()
    sent = 0
    begin = end = 0.0

    def on_answer(connection: Connection, status: int, body: bytes) -> None:
        nonlocal sent, end
        end = time.perf_counter()
        number = connection.request
        took.append(end - sent_at.pop(number))
        statuses[status] = statuses.get(status, 0) + 1
        if number < len(requests):
            bodies[number] = body
        if late:
            again = late.popleft()
        elif due is None and end - begin < seconds:
            again = sent
            sent += 1
            sent_at[again] = end
        else:
            idle.append(connection)
            if not sent_at and (due is None or sent == n_due) and not done.done():
                done.set_result(None)
            return
        connection.send(again, requests[again % len(requests)])

    for _ in range(connections):
        _, connection = await loop.create_connection(
            lambda: Connection(on_answer), "127.0.0.1", port
        )
        idle.append(connection)
    cpu, begin = time.process_time(), time.perf_counter()
    if due is None:
        for _ in range(connections):
            sent_at[sent] = time.perf_counter()
            idle.popleft().send(sent, requests[sent % len(requests)])
            sent += 1
    else:
        while sent < n_due:
            now = time.perf_counter() - begin
            while sent < n_due and due[sent] <= now:
                sent_at[sent] = begin + due[sent]
                if idle:
                    idle.popleft().send(sent, requests[sent % len(requests)])
                else:
                    late.append(sent)
                sent += 1
            if sent < n_due:
                await asyncio.sleep(max(0.0, due[sent] - (time.perf_counter() - begin)))
    await asyncio.wait_for(done, 60)
    for connection in idle:
        connection.transport.close()
    p50, p99, p999 = (np.percentile(took, [50, 99, 99.9]) * 1e3).tolist()
    figures = {
        "requests": len(took),
        "seconds": end - begin,
        "requests_per_s": len(took) / (end - begin),
        "p50_ms": p50,
        "p99_ms": p99,
        "p99.9_ms": p999,
        "max_ms": max(took) * 1e3,
        "statuses": statuses,
        "client_cpu_share": (time.process_time() - cpu) / (end - begin),
    }
    return figures, bodies


def server_counts(port: int) -> dict[str, float]:
    """Read what the service has counted so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    names = {
        "cpu_s": "process_cpu_seconds_total",
        "rows": "softkd_batch_rows_sum",
        "batches": "softkd_batch_rows_count",
    }
    return {
        key: float(re.search(rf"^{name} (\S+)", text, re.MULTILINE)[1])
        for key, name in names.items()
    }


def measure(
    port: int, requests: list[bytes], due: np.ndarray | None, seconds: float, connections: int
) -> tuple[dict[str, Any], dict[int, bytes]]:
    """Drive the service and add what it says of itself."""
    before = server_counts(port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures, bodies = runner.run(drive(port, requests, due, seconds, connections))
    after = server_counts(port)
    figures["server_cpu_share"] = (after["cpu_s"] - before["cpu_s"]) / figures["seconds"]
    figures["rows_per_batch"] = (after["rows"] - before["rows"]) / (
        after["batches"] - before["batches"]
    )
    return figures, bodies


@click.command()
@click.option("--rate", default=1000, show_default=True, help="Requests a second, on average.")
@click.option("--seconds", default=30.0, show_default=True, help="Of each measurement.")
@click.option("--connections", default=32, show_default=True)
@click.option("--rows", default=2000, show_default=True, help="Different rows that are sent.")
@click.option("--data-dir", help="Of MNIST; see softkd.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(
    rate: int, seconds: float, connections: int, rows: int, data_dir: str | None, out: Path
) -> None:
    """Measure the prediction service from outside."""
    data = load_dataset("mnist", data_dir=data_dir)
    student = soft_students.SoftDecisionTreeClassifier(
        depth=8, epochs=1, standardize=False, random_state=0
    ).fit(data.X_train, data.y_train)
    X = np.ascontiguousarray(data.X_test[:rows])
    expected = student.predict_proba(X)
    # As many as on average, at moments as of clients that know nothing of each other.
    due = np.sort(np.random.default_rng(0).uniform(0, seconds, int(rate * seconds)))
    load_before = os.getloadavg()[0]
    figures: dict[str, Any] = {}
    difference = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = soft_students.save(student, Path(folder, "mnist.student"))
        command = [sys.executable, "-m", "softkd", "serve", os.fspath(path), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            port = int(server.stderr.readline().rpartition(":")[2])
            for kind in KINDS:
                requests = messages(X, kind, port)
                measure(port, requests, None, 1.0, connections)  # warm
                steady, bodies = measure(port, requests, due, seconds, connections)
                greatest, _ = measure(port, requests, None, seconds / 3, connections)
                figures[kind] = {
                    "bytes_a_request": float(np.mean([len(request) for request in requests])),
                    "open_loop": steady,
                    "greatest": greatest,
                }
                for number, body in bodies.items():
                    told = json.loads(body)["probabilities"][0]
                    difference = max(difference, float(np.abs(told - expected[number]).max()))
            server.terminate()
            errors = server.stderr.read()
            ended = server.wait(30)
    result = {
        "command": f"python benchmarks/serve.py --rate {rate} --seconds {seconds:g} "
        f"--connections {connections}",
        "aim": AIM,
        "met": {
            kind: bool(
                run["open_loop"]["requests_per_s"] >= 0.99 * AIM["requests_per_s"]
                and run["open_loop"]["p99_ms"] < AIM["p99_ms"]
                and set(run["open_loop"]["statuses"]) == {200}
            )
            for kind, run in figures.items()
        },
        "figures": figures,
        "greatest_difference_to_python": difference,
        "server": {"exit_code": ended, "stderr": errors},
        "load_average_before": load_before,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    table = Table("body", "load", "requests/s", "p50 ms", "p99 ms", "max ms", "server CPU")
    for kind, run in figures.items():
        for name in ("open_loop", "greatest"):
            measured = run[name]
            table.add_row(
                kind,
                name,
                f"{measured['requests_per_s']:.0f}",
                *(f"{measured[key]:.1f}" for key in ("p50_ms", "p99_ms", "max_ms")),
                f"{measured['server_cpu_share']:.0%}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
