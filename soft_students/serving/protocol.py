"""HTTP protocol with limits on slow, large and numerous connections."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from soft_students.serving.limits import Limits

_MAX_HEAD_BYTES = 32_768


class PipelinedError(Exception):
    """Stops the parser at a request sent before the previous one is answered."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on the time and size of a head and on connections.

    Bodies are bounded where they are read, see `soft_students.serving.bodies`.

    Parameters
    ----------
    limits : Limits
    config, server_state, app_state, _loop
        As uvicorn passes them.
    """

    def __init__(
        self,
        limits: Limits,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        # Between the end of a request's body and the blank line after the next one's head.
        self._in_head = True
        self._head_bytes = 0  # of the current head, or of a body since its last byte of content
        self._last_request = False
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or refuse it if too many are open."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._refuse(b"503 Service Unavailable", b"Retry-After: 1\r\n")
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers of a closed connection."""
        self._stop_read_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass received data to the parser, at most the size limit of a head at a time.

        Chunk extensions and trailers of a body have the same limit as a head.
        """
        while data and not (self._last_request or self.transport.is_closing()):
            room = _MAX_HEAD_BYTES - self._head_bytes
            if room <= 0:
                self._refuse(b"431 Request Header Fields Too Large")
                return
            piece, data = data[:room], data[room:]
            self._head_bytes += len(piece)
            super().data_received(piece)
        if self._idle and self._read_timer is None:
            self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep a half-closed connection open if its request is complete; else close it."""
        if not self._idle and (self._in_head or self._last_request or self.cycle.response_started):
            self.cycle.keep_alive = False
            return True
        if not self._idle or (self._in_head and self._head_bytes):  # half a body or half a head
            self._refuse(b"400 Bad Request")
        return False

    def on_message_begin(self) -> None:
        """Begin a head; stop the parser if the previous request is not answered yet.

        A client may pipeline requests, but must be ready to resend those without an answer (RFC
        9112, 9.3.2). uvicorn would keep any number of them in memory.
        """
        if not self._idle:
            self.cycle.keep_alive = False
            self._last_request = True
            raise PipelinedError
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Process a header; drop the trailers of a body."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head, self._head_bytes = False, 0
        self._stop_read_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Process a part of a body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a body."""
        self._in_head, self._head_bytes = True, 0
        self._stop_read_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer input that is not valid HTTP."""
        if not self._last_request:
            super().send_400_response(msg)
            self._abort_later()

    def pause_writing(self) -> None:
        """Pause for a client that reads slowly; disconnect it after `read_timeout`."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(
                self._limits.read_timeout, self.transport.abort
            )

    def resume_writing(self) -> None:
        """Resume once the client has read."""
        self._stop_write_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """End a request."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()
        elif not self._in_head:  # uvicorn waits for the rest of a refused body
            self._read_timer = self.loop.call_later(
                self._limits.read_timeout, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    @property
    def _idle(self) -> bool:
        """Whether every request has been answered."""
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._read_timer = self.loop.call_later(
            self._limits.read_timeout, self._refuse, b"408 Request Timeout"
        )

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _refuse(self, status: bytes, headers: bytes = b"") -> None:
        self._stop_read_timer()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %b\r\n%bContent-Length: 0\r\nConnection: close\r\n\r\n"
                % (status, headers)
            )
            self.transport.close()
            self._abort_later()

    def _abort_later(self) -> None:
        # Closing waits until the client has read its answer, which may never happen.
        self.loop.call_later(self._limits.read_timeout, self.transport.abort)
