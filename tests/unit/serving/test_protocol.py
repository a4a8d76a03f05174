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


async def answer(scope, receive, send):
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def connected():
    """Return a function that talks to a connection in an event loop."""

    def run(talk, **settings):
        async def main():
            config = uvicorn.Config(answer, log_config=None, log_level="error", lifespan="off")
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
