"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sklearn.base import BaseEstimator
from starlette.middleware.trustedhost import TrustedHostMiddleware

from soft_students.serving.answers import Answers
from soft_students.serving.batching import Batcher, QueueFullError
from soft_students.serving.bodies import JSON, RowReader
from soft_students.serving.guard import Guard
from soft_students.serving.limits import Limits
from soft_students.serving.metrics import Metrics
from soft_students.serving.schemas import Health, Predictions, body_of, refusals

_BATCH_ROWS = 256  # larger batches would delay the requests behind them
_QUEUED_EXPLANATIONS = 16


def create_app(
    student: BaseEstimator,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Sequence[str] | None = None,
    threads: int = 1,
) -> FastAPI:
    """Return an ASGI application that serves the predictions of one student.

    Routes: ``POST /predict``, ``POST /explain`` (if the student supports explanations),
    ``GET /health``, ``GET /metrics`` and ``GET /openapi.json``. Any ASGI server can run it;
    :func:`run` also limits connections.

    Parameters
    ----------
    student : estimator
        Fitted on numeric features. Requests cannot change or replace it.
    limits : Limits, default=None
        None uses the defaults.
    token : str, default=None
        Required as ``Authorization: Bearer`` by all routes but ``/health``.
    hosts : sequence of str, default=None
        Accepted values of the ``Host`` header; None accepts all. Restrict them to the names of
        this machine to prevent DNS rebinding by web pages.
    threads : int, default=1
        Threads of numerical libraries per batch. In some libraries it applies process-wide.

    Returns
    -------
    FastAPI

    Raises
    ------
    TypeError, ValueError
        If the student cannot be served, or the token is invalid.

    Examples
    --------
    >>> from fastapi.testclient import TestClient
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.serving import create_app
    >>> X, y = load_iris(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, random_state=0).fit(X, y)
    >>> with TestClient(create_app(student)) as client:
    ...     answer = client.post("/predict", json={"rows": X[:2].tolist()}).json()
    >>> answer["predictions"], answer["classes"]
    ([0, 0], [0, 1, 2])
    """
    service = _Service(student, limits or Limits(), threads)
    app = FastAPI(
        title=f"soft-students: {type(student).__name__}",
        version=version("soft-students"),
        lifespan=service.lifespan,
        # These pages would fetch scripts from other sites.
        docs_url=None,
        redoc_url=None,
    )
    app.state.limits = service.limits
    app.add_api_route(
        "/predict",
        service.predict,
        methods=["POST"],
        responses={200: {"model": Predictions}, **refusals()},
        openapi_extra=body_of(service.answers, service.limits.max_rows),
    )
    if service.answers.explains:
        app.add_api_route(
            "/explain",
            service.explain,
            methods=["POST"],
            responses=refusals(),
            openapi_extra=body_of(service.answers, 1),
        )
    app.add_api_route("/health", service.health)
    app.add_api_route(
        "/metrics", service.show_metrics, responses={200: {"content": {"text/plain": {}}}}
    )
    for path, answer in (("/health", service.health), ("/metrics", service.show_metrics)):
        app.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_middleware(Guard, metrics=service.metrics, token=token)
    return app


class _Service:
    """Request handlers of the application, with their queues."""

    def __init__(self, student: BaseEstimator, limits: Limits, threads: int) -> None:
        self.limits, self.answers = limits, Answers(student)
        self._reader = RowReader(self.answers, limits)
        self._predicting = Batcher(
            self.answers.predict,
            max_batch_rows=_BATCH_ROWS,
            max_queued_rows=limits.max_queued_rows,
            threads=threads,
            observe=lambda n_rows: self.metrics.batch_rows.observe(n_rows),
        )
        # A separate queue: an explanation takes as long as many predictions.
        self._explaining = Batcher(
            self.answers.explain,
            max_batch_rows=1,
            max_queued_rows=_QUEUED_EXPLANATIONS,
            threads=threads,
        )
        self.metrics = Metrics(
            ("/predict", "/explain", "/health", "/metrics", "/openapi.json"),
            lambda: self._predicting.queued_rows,
        )

    async def predict(self, request: Request) -> Response:
        """Return the predictions of the rows in a request."""
        told = await self._answer(self._predicting, await self._reader.read(request))
        result: dict[str, Any] = {"predictions": [prediction for prediction, _ in told]}
        if self.answers.classes is not None:
            result["classes"] = self.answers.classes
            result["probabilities"] = [probabilities for _, probabilities in told]
        return _json(result)

    async def explain(self, request: Request) -> Response:
        """Return the explanation of one row's prediction."""
        rows = await self._reader.read(request)
        if len(rows) != 1:
            raise HTTPException(422, f"/explain takes one row. This request has {len(rows)}.")
        return _json((await self._answer(self._explaining, rows))[0])

    async def health(self) -> Health:
        """Return the status of the service; no token is required."""
        return Health()

    async def show_metrics(self) -> Response:
        """Return counters and durations in the Prometheus format."""
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Run the queues while the application runs."""
        batchers = (self._predicting, self._explaining)
        tasks = [asyncio.create_task(batcher.run()) for batcher in batchers]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _answer(self, batcher: Batcher, rows: np.ndarray) -> Sequence[Any]:
        try:
            async with asyncio.timeout(self.limits.answer_timeout):
                return await batcher.submit(rows)
        except (QueueFullError, TimeoutError):
            raise HTTPException(
                503, "Too many requests are waiting. Try again later.", {"Retry-After": "1"}
            ) from None


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type=JSON)
