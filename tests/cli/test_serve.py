"""The service as a process, and clients that behave badly."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pytest

from soft_students import SoftDecisionTreeClassifier, load, save
from soft_students.datasets import load_dataset

COMMAND = (sys.executable, "-m", "softkd", "serve")
TOKEN = "a-token-of-more-than-16-characters"
CHUNKED = b"Transfer-Encoding: chunked"
LIMITS = ("--read-timeout", 1, "--max-connections", 20, "--max-body-bytes", 200_000)


@contextmanager
def served(*arguments, **settings):
    """Run the command on a free port."""
    process = subprocess.Popen(
        (*COMMAND, *map(str, arguments), "--port", "0"),
        stderr=subprocess.PIPE,
        text=True,
        # a job in the background of a shell starts with SIGINT ignored, and would pass that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **settings,
    )
    try:
        line = process.stderr.readline()
        assert line.startswith("Serving SoftDecisionTreeClassifier on http://"), line
        yield process, int(line.rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def port(student):
    with served(student, *LIMITS) as (process, port):
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""  # whatever the clients here have sent


def ask(port, rows, headers=None, host="127.0.0.1"):
    request = urllib.request.Request(
        f"http://{host}:{port}/predict",
        json.dumps({"rows": rows}).encode(),
        {"Content-Type": "application/json", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def assert_alive(port):
    assert len(ask(port, [[0.0] * 64])["predictions"]) == 1


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def everything(client):
    """Return what comes until the service ends the connection."""
    received = b""
    try:
        while part := client.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


def test_answers_are_those_of_python(port, student):
    X = load_dataset("digits").X_test[:50]
    told = ask(port, X.tolist())
    loaded = load(student)
    assert told["predictions"] == loaded.predict(X).tolist()
    np.testing.assert_allclose(told["probabilities"], loaded.predict_proba(X), atol=1e-6)


def test_a_head_that_comes_by_drops_is_not_waited_for(port):
    clients = [connect(port) for _ in range(10)]
    begun = time.monotonic()
    for i in range(30):
        for client in clients:
            try:
                client.sendall(b"POST /predict HTTP/1.1\r\n" if i == 0 else b"X: y\r\n")
            except OSError:
                break
        time.sleep(0.05)
        assert_alive(port)
    for client in clients:
        assert everything(client).startswith(b"HTTP/1.1 408 ")
        client.close()
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("again", [False, True])
def test_a_connection_that_says_nothing_or_half_a_head_ends(port, again):
    with connect(port) as client:
        if again:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while not received.endswith(b"}"):
                received += client.recv(65_536)
            client.sendall(b"GET /health HT")
        assert everything(client).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_cut(port):
    with connect(port) as client:
        try:
            client.sendall(b"GET /health HTTP/1.1\r\n")
            for i in range(10_000):
                client.sendall(b"X-%d: %s\r\n" % (i, b"y" * 1_000))
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = everything(client)
    # what the client sends meanwhile may cost it the answer
    assert received == b"" or received.startswith(b"HTTP/1.1 431 ")
    assert_alive(port)


def test_a_body_that_comes_by_drops_is_not_waited_for(port):
    with connect(port) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n"
        )
        received = b""
        for _ in range(30):
            try:
                client.sendall(b" ")
            except OSError:
                break
            time.sleep(0.05)
        received = everything(client)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 1 seconds" in received


def test_of_requests_at_once_the_first_is_answered(port):
    with connect(port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000)
        received = everything(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1") == 1
    assert b"connection: close" in received
    assert_alive(port)


def test_a_client_that_has_closed_its_sending_side_is_answered(port):
    body = json.dumps({"rows": [[0.0] * 64]}).encode()
    with connect(port) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        client.shutdown(socket.SHUT_WR)
        received = everything(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"predictions"' in received


def test_a_long_head_in_one_piece_is_refused(port):
    with connect(port) as client:
        long = b"y" * 50_000
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % long)
        assert everything(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "length", [b"Content-Length: 1000000000000", b"Transfer-Encoding: chunked"]
)
def test_a_body_that_is_too_large_is_not_read(port, length):
    with connect(port) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + length
            + b"\r\n\r\n"
        )
        try:
            for _ in range(300):
                client.sendall(b"%x\r\n" % 10_000 + b" " * 10_000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = everything(client)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert_alive(port)


def test_a_client_of_a_body_that_is_too_large_sees_why(port):
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(port, [[0.5] * 64] * 2_000)
    assert raised.value.code == 413
    assert "at most 200,000 bytes" in json.loads(raised.value.read())["detail"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS handshake
        b"\x00" * 100,
        b"POST /predict HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 5\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_a_connection_at_most(port, garbage):
    with connect(port) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        everything(client)
    assert_alive(port)


def test_too_many_connections_are_turned_away_and_leave_room_again(port):
    clients = [connect(port) for _ in range(30)]
    time.sleep(0.2)
    refused = 0
    for client in clients:
        received = everything(client)
        assert received.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 408 "))
        refused += b"Retry-After: 1" in received
        client.close()
    assert refused == 10
    assert_alive(port)


def test_other_names_of_this_machine_are_not_answered_without_a_token(port):
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(port, [[0.0] * 64], {"Host": "attacker.example"})
    assert raised.value.code == 400


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_without_an_error_after_the_last_answer(student, tmp_path, signum):
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    # reachable from other machines, since it asks for a token
    with served(student, "--host", "0.0.0.0", "--token-file", token) as (process, port):
        with pytest.raises(urllib.error.HTTPError) as raised:
            ask(port, [[0.0] * 64])
        assert raised.value.code == 401
        with connect(port) as client:
            body = json.dumps({"rows": [[0.0] * 64]}).encode()
            client.sendall(
                b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                % (TOKEN.encode(), len(body), body[:10])
            )
            time.sleep(0.2)
            process.send_signal(signum)
            time.sleep(0.3)
            client.sendall(body[10:])
            assert everything(client).startswith(b"HTTP/1.1 200 ")
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_the_python_of_the_page_runs(iris, tmp_path, capsys):
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    client, application = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    X, y = iris.drop(columns="species").to_numpy(np.float32), iris["species"]
    path = save(SoftDecisionTreeClassifier(2, random_state=0).fit(X, y), tmp_path / "tree.student")
    with served(path) as (_, port):
        exec(client.replace("8000", str(port)), {})
    assert capsys.readouterr().out == "['setosa', 'virginica']\n"
    exec(application, {})
    assert capsys.readouterr().out == "{'status': 'ok'}\n"


def test_a_port_in_use_is_one_line(softkd, student):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = softkd("serve", student, "--port", port)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: Cannot listen on 127.0.0.1, port {port}: address already in use. Choose another "
        "--port or --host.\n"
    )


def test_other_machines_need_a_token(softkd, student, monkeypatch):
    monkeypatch.delenv("SOFTKD_TOKEN", raising=False)
    for host in ("0.0.0.0", "::"):
        result = softkd("serve", student, "--host", host, "--port", 0)
        assert result.exit_code == 1
        assert "no token guards the service. Give a token (--token-file" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_bad_token_is_bad_usage(softkd, student, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("short\n")
    result = softkd("serve", student, "--token-file", token)
    assert result.exit_code == 2
    assert "A token must have at least 16 characters" in result.stderr
    assert "short" not in result.stderr.replace("shorter", "")
    monkeypatch.setenv("SOFTKD_TOKEN", "")
    assert softkd("serve", student).exit_code == 2


def test_what_cannot_be_loaded_is_one_line(softkd, student, tmp_path):
    assert softkd("serve", tmp_path / "none.student").exit_code == 2
    broken, pickled = tmp_path / "broken.student", tmp_path / "pickle.student"
    broken.write_bytes(student.read_bytes()[:2_000])
    joblib.dump(load(student), pickled)
    for path, phrase in ((broken, "Cannot load"), (pickled, "trust")):
        result = softkd("serve", path)
        assert result.exit_code == 1
        assert phrase in result.stderr
        assert result.stderr.count("\n") == 1


def test_limits_that_contradict_each_other_are_bad_usage(softkd, student):
    result = softkd("serve", student, "--max-rows", 10, "--max-queued-rows", 5)
    assert result.exit_code == 2
    assert "'max_queued_rows'" in result.stderr


def test_the_extra_is_named_when_it_is_missing_and_is_not_imported_otherwise(student):
    code = (
        "import sys, soft_students, softkd.shell, softkd.commands.serve\n"
        "assert not {'fastapi', 'uvicorn', 'msgspec'} & set(sys.modules)\n"
        "sys.modules['fastapi'] = None\n"
        "softkd.shell.main(['serve', sys.argv[1]])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(student)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: The prediction service needs fastapi, which is not installed. Install it with: "
        "pip install 'soft-students[serve]'\n"
    )
