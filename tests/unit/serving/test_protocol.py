"""Connections, without a network. tests/cli/test_serve.py has clients that behave badly."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from soft_students.serving import Limits
from soft_students.serving.protocol import LimitedHttpProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport(asyncio.Transport):
    """Records what is done to it."""

    def __init__(self):
        super().__init__()
        self.written, self.closed, self.aborted = b"", False, False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


BLANK = b"\r\n\r\n"


async def respond(send, body):
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer(scope, receive, send):
    """Answer without a look at the body."""
    await respond(send, b"ok")


async def echo(scope, receive, send):
    """Answer with the body and the names of the headers, after a moment."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await asyncio.sleep(0.02)
    await respond(send, body + b" " + b",".join(name for name, _ in scope["headers"]))


def head_of(size):
    """Return a whole head of so many bytes."""
    filling = size - len(REQUEST) - len(b"X: \r\n")
    return REQUEST[:-2] + b"X: " + b"y" * filling + BLANK


def post(body, *headers):
    lines = [b"POST / HTTP/1.1", b"Host: localhost", *headers]
    return b"\r\n".join(lines) + BLANK + body


@pytest.fixture
def connected():
    """Return a function that talks to a connection in an event loop."""

    def run(talk, app=answer, **settings):
        async def main():
            config = uvicorn.Config(app, log_config=None, log_level="error", lifespan="off")
            limits = Limits(**{"read_timeout": 0.05, **settings})
            transport = Transport()
            protocol = LimitedHttpProtocol(limits, config, ServerState(), {})
            protocol.connection_made(transport)
            await talk(protocol, transport)

        asyncio.run(main())

    return run


def test_a_request_is_answered_and_so_is_the_next(connected):
    async def talk(protocol, transport):
        for n in (1, 2):
            protocol.data_received(REQUEST[:20])
            protocol.data_received(REQUEST[20:])
            await asyncio.sleep(0.01)
            assert transport.written.count(b"HTTP/1.1 200 OK") == n
        await asyncio.sleep(0.1)
        assert not transport.closed  # idle, which uvicorn bounds

    connected(talk)


def test_half_a_head_after_another_request_ends_the_connection(connected):
    async def talk(protocol, transport):
        protocol.data_received(REQUEST)
        await asyncio.sleep(0.01)
        protocol.data_received(REQUEST[:20])
        await asyncio.sleep(0.1)
        assert transport.written.endswith(
            b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        assert transport.closed

    connected(talk)


def test_a_head_without_end_is_cut(connected):
    async def talk(protocol, transport):
        protocol.data_received(REQUEST[:-2])
        for _ in range(40):
            protocol.data_received(b"X: %s\r\n" % (b"y" * 1_000))
        assert transport.written.startswith(b"HTTP/1.1 431 ")
        assert transport.closed

    connected(talk)


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("again", [False, True])
def test_the_limit_of_a_head_is_the_same_in_one_piece_and_in_many(connected, pieces, again):
    async def talk(protocol, transport):
        if again:  # and for the second request of a connection
            protocol.data_received(REQUEST)
            await asyncio.sleep(0.01)
        for size, status in ((20_000, b"200"), (32_768, b"200"), (32_769, b"431")):
            before, head = len(transport.written), head_of(size)
            assert len(head) == size
            step = -(-size // pieces)
            for start in range(0, size, step):
                protocol.data_received(head[start : start + step])
            await asyncio.sleep(0.01)
            assert transport.written[before:].startswith(b"HTTP/1.1 %b " % status)
        assert transport.closed

    connected(talk)


def test_what_is_in_one_piece_with_a_body_counts_for_the_next_head(connected):
    async def talk(protocol, transport):
        protocol.data_received(post(b"", b"Content-Length: 30000"))
        await asyncio.sleep(0.01)  # answered, without its body
        protocol.data_received(b" " * 30_000 + head_of(30_000))
        await asyncio.sleep(0.01)
        assert transport.written.count(b"HTTP/1.1 200 OK") == 2
        protocol.data_received(head_of(33_000))
        assert b"HTTP/1.1 431 " in transport.written

    connected(talk)


def test_blank_lines_without_end_are_cut(connected):
    async def talk(protocol, transport):
        for _ in range(40):
            protocol.data_received(b"\r\n" * 500)
        assert transport.written.startswith(b"HTTP/1.1 431 ")

    connected(talk)


@pytest.mark.parametrize(
    "rest",
    [
        b"2\r\nok\r\n0\r\n" + b"Trailer: x\r\n" * 10_000,
        b"2\r\nok\r\n0\r\nTrailer: " + b"x" * 100_000,
        b"2;" + b"extension" * 10_000,
    ],
)
def test_what_is_around_a_body_has_the_limit_of_a_head(connected, rest):
    async def talk(protocol, transport):
        protocol.data_received(post(b"", b"Transfer-Encoding: chunked"))
        for start in range(0, len(rest), 5_000):
            protocol.data_received(rest[start : start + 5_000])
        assert transport.written.startswith(b"HTTP/1.1 431 ")
        assert transport.closed

    connected(talk, echo)


def test_a_body_in_many_chunks_is_taken_and_its_trailers_are_dropped(connected):
    async def talk(protocol, transport):
        protocol.data_received(post(b"", b"transfer-encoding: Chunked"))
        protocol.data_received(b"1;a=b\r\nz\r\n" * 20_000 + b"0\r\nX-Late: y\r\n\r\n")
        await asyncio.sleep(0.1)
        assert transport.written.endswith(b"z" * 20_000 + b" host,transfer-encoding")
        assert not transport.closed

    connected(talk, echo)


@pytest.mark.parametrize("step", [1, 10, 10_000])
def test_a_client_that_closes_its_sending_side_is_answered(connected, step):
    async def talk(protocol, transport):
        sent = post(b"rows", b"Content-Length: 4")
        for start in range(0, len(sent), step):
            protocol.data_received(sent[start : start + step])
        assert protocol.eof_received()  # the transport stays
        assert not transport.closed
        await asyncio.sleep(0.04)
        assert transport.written.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in transport.written
        assert transport.written.endswith(b"rows host,content-length")
        assert transport.closed

    connected(talk, echo)


def test_of_requests_at_once_and_no_more_the_first_is_answered(connected):
    async def talk(protocol, transport):
        protocol.data_received(post(b"rows", b"Content-Length: 4") * 2)
        assert protocol.eof_received()
        await asyncio.sleep(0.04)
        assert transport.written.count(b"HTTP/1.1 200 OK") == 1
        assert transport.closed

    connected(talk, echo)


@pytest.mark.parametrize("sent", [REQUEST[:-2], post(b"row", b"Content-Length: 4")])
def test_half_a_request_and_no_more_is_refused(connected, sent):
    async def talk(protocol, transport):
        protocol.data_received(sent)
        await asyncio.sleep(0)
        assert not protocol.eof_received()
        assert transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert transport.closed

    connected(talk, echo)


def test_trailers_do_not_count_for_the_next_head(connected):
    async def talk(protocol, transport):
        protocol.data_received(post(b"", b"Transfer-Encoding: chunked"))
        protocol.data_received(b"2\r\nok\r\n0\r\nTrailer: " + b"x" * 20_000 + BLANK)
        await asyncio.sleep(0.04)
        protocol.data_received(head_of(20_000))
        await asyncio.sleep(0.04)
        assert transport.written.count(b"HTTP/1.1 200 OK") == 2

    connected(talk, echo)


def test_an_answer_that_has_begun_is_completed_after_half_a_body(connected):
    async def early(scope, receive, send):
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"done"})

    async def talk(protocol, transport):
        protocol.data_received(post(b"row", b"Content-Length: 4"))
        await asyncio.sleep(0)
        assert protocol.eof_received()
        await asyncio.sleep(0.04)
        assert transport.written.endswith(b"done")
        assert transport.written.count(b"HTTP/1.1") == 1
        assert transport.closed

    connected(talk, early)


def test_an_idle_client_that_closes_its_sending_side_is_let_go(connected):
    async def talk(protocol, transport):
        assert not protocol.eof_received()
        protocol.data_received(REQUEST)
        await asyncio.sleep(0.01)
        written = transport.written
        assert not protocol.eof_received()
        assert transport.written == written

    connected(talk)


def test_a_body_that_comes_by_drops_after_its_answer_is_not_waited_for(connected):
    async def talk(protocol, transport):
        protocol.data_received(post(b"", b"Content-Length: 1000"))
        for _ in range(12):
            await asyncio.sleep(0.01)
            protocol.data_received(b" ")
        assert transport.written.count(b"HTTP/1.1") == 1
        assert transport.closed

    connected(talk)


@pytest.mark.parametrize("later", [b"\r\n", b"  "])
def test_a_connection_on_which_nothing_follows_ends(connected, later):
    async def talk(protocol, transport):
        protocol.data_received(REQUEST if later == b"\r\n" else post(b"", b"Content-Length: 2"))
        await asyncio.sleep(0.01)
        protocol.data_received(later)  # a blank line, or the rest of a body
        await asyncio.sleep(0.1)
        assert transport.closed

    connected(talk)


def test_a_long_body_is_no_long_head(connected):
    async def talk(protocol, transport):
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(10):
            protocol.data_received(b" " * 10_000)
        await asyncio.sleep(0.01)
        protocol.data_received(REQUEST)
        await asyncio.sleep(0.01)
        assert transport.written.count(b"HTTP/1.1 200 OK") == 2
        assert not transport.closed

    connected(talk)


def test_a_client_that_does_not_read_is_left(connected):
    async def talk(protocol, transport):
        protocol.data_received(REQUEST)
        await asyncio.sleep(0.01)
        protocol.pause_writing()  # as the transport says when its buffer is full
        protocol.resume_writing()
        await asyncio.sleep(0.1)
        assert not transport.aborted
        protocol.pause_writing()
        await asyncio.sleep(0.1)
        assert transport.aborted

    connected(talk)


def test_a_closed_connection_does_not_stay_for_what_is_not_read(connected):
    async def talk(protocol, transport):
        protocol.data_received(REQUEST[:-2] + b"Connection: close\r\n\r\n")
        await asyncio.sleep(0.01)
        assert transport.closed
        assert not transport.aborted
        await asyncio.sleep(0.1)
        assert transport.aborted

    connected(talk)


def test_requests_at_once_are_not_kept(connected):
    async def talk(protocol, transport):
        protocol.data_received(REQUEST * 1_000)
        protocol.data_received(REQUEST * 1_000)
        assert not protocol.pipeline
        await asyncio.sleep(0.01)
        assert transport.written.count(b"HTTP/1.1 200 OK") == 1
        assert b"connection: close" in transport.written
        assert transport.closed

    connected(talk)
