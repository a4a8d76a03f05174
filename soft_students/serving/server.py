"""Running the service: port, server and signals."""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from soft_students.persistence.errors import reason, with_sentence
from soft_students.serving.protocol import LimitedHttpProtocol

_DRAIN_SECONDS = 10

#: Names of this machine in the `Host` header of local clients.
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """Return a socket that listens on a host and port.

    Parameters
    ----------
    host : str
        A name or address of this machine.
    port : int
        0 takes a free one.
    guarded : bool
        Whether clients need a token. If not, only loopback addresses are allowed.

    Returns
    -------
    socket

    Raises
    ------
    ValueError
        If other machines can reach the address and no token is required.
    OSError
        If the port is in use, or the address does not belong to this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        if not guarded and not _is_loopback(str(address[0])):
            raise ValueError(
                f"'{host}' can be reached from other machines, and no token guards the service. "
                "Give a token (--token-file FILE, or the environment variable SOFTKD_TOKEN), or "
                "use 127.0.0.1."
            )
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise with_sentence(
            error,
            # Without the address, which Python appends to the system's message.
            f"Cannot listen on {host}, port {port}: {reason(error).partition(' (')[0]}. Choose "
            "another --port or --host.",
        ) from error


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in progress are answered before it returns.

    Parameters
    ----------
    app : FastAPI
        Made by :func:`create_app`.
    listener : socket
        From :func:`listen`; closed at the end.
    """
    config = uvicorn.Config(
        app,
        http=partial(LimitedHttpProtocol, app.state.limits),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    server = uvicorn.Server(config)

    def stop(signum: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # Objects created so far stay alive: scanning them in every collection would take 0.1 s each
    # time and delay all requests.
    gc.collect()
    gc.freeze()
    # uvicorn raises the signal again after it has stopped, which would kill the process. These
    # handlers, set before its own, make that a clean exit.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listener])
    finally:
        gc.unfreeze()
        for number, handler in before.items():
            signal.signal(number, handler)
