"""The service as a process."""

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

#: What a client on this machine calls it, in the `Host` header.
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """Take a port.

    Parameters
    ----------
    host : str
        A name or address of this machine.
    port : int
        0 takes a free one.
    guarded : bool
        Whether clients need a token. Without one, only this machine can be served.

    Returns
    -------
    socket
        It listens.

    Raises
    ------
    ValueError
        If other machines could reach the address and nothing guards it.
    OSError
        If the port is taken, or the address is not of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        if not guarded and not _is_loopback(str(address[0])):
            raise ValueError(
                f"'{host}' can be reached from other machines, and nothing guards the service. "
                "Give a token (--token-file FILE, or the environment's SOFTKD_TOKEN), or stay on "
                "127.0.0.1."
            )
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise with_sentence(
            error,
            # Without the address, which Python adds to what the system says.
            f"Cannot listen on {host}, port {port}: {reason(error).partition(' (')[0]}. Choose "
            "another --port or --host.",
        ) from error


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are then answered first.

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

    # What is there by now stays: the collector need not look at it again, which takes a tenth of a
    # second each time and would let all requests wait.
    gc.collect()
    gc.freeze()
    # uvicorn raises the signal again when it has stopped, which would kill the process. With
    # handlers of ours before its own, that is the end without an error which was asked for.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listener])
    finally:
        gc.unfreeze()
        for number, handler in before.items():
            signal.signal(number, handler)
