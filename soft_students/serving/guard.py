"""Middleware for every request: token check, metrics and handling of failures."""

from __future__ import annotations

import hmac
import logging
import time
import traceback

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soft_students.serving.metrics import Metrics

_LOGGER = logging.getLogger("soft_students.serving")
_MIN_TOKEN = 16

#: Paths open without a token, e.g. for load balancers.
OPEN_PATHS = frozenset({"/health"})


def check_token(token: str) -> str:
    """Return a token after checking its length and characters.

    Raises
    ------
    ValueError
        If it is shorter than 16 characters or contains others than visible ASCII.
    """
    if len(token) < _MIN_TOKEN or not all("!" <= character <= "~" for character in token):
        raise ValueError(
            f"A token must have at least {_MIN_TOKEN} characters, visible ASCII without spaces, "
            "such as 'openssl rand -hex 32' prints."
        )
    return token


class Guard:
    """ASGI middleware around the whole service.

    Parameters
    ----------
    app : ASGI application
    metrics : Metrics
    token : str or None
        Required in ``Authorization: Bearer``; None: no token is required.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, token: str | None) -> None:
        self.app = app
        self._metrics = metrics
        self._token = None if token is None else check_token(token).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self._admits(scope):
                await self.app(scope, receive, observed)
            else:
                refusal = JSONResponse(
                    {"detail": "This service needs a token: 'Authorization: Bearer TOKEN'."},
                    401,
                    {"WWW-Authenticate": "Bearer", "Connection": "close"},
                )
                await refusal(scope, receive, observed)
        except Exception as error:
            # The location only: the message may repeat values of the request.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            _LOGGER.error(
                "%s %s failed: %s in %s, line %s",
                scope["method"],
                scope["path"] if scope["path"] in self._metrics.paths else "(unknown path)",
                type(error).__name__,
                frame.filename,
                frame.lineno,
            )
            if not status:  # otherwise the answer has begun, and the server closes the connection
                failure = JSONResponse({"detail": "The service failed. See its log."}, 500)
                await failure(scope, receive, observed)
        finally:
            self._metrics.observe(scope["path"], status or 500, time.perf_counter() - started)

    def _admits(self, scope: Scope) -> bool:
        if self._token is None or scope["path"] in OPEN_PATHS:
            return True
        # Only the scheme is case-insensitive, not the token (RFC 9110, 11.1 and 11.4).
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip(" \t").encode("latin-1"), self._token)
        return right and scheme.lower() == "bearer"
