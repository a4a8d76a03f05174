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

_BATCH_ROWS = 256  # a batch that takes longer makes those wait who come next
_QUEUED_EXPLANATIONS = 16


def create_app(
    student: BaseEstimator,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Sequence[str] | None = None,
    threads: int = 1,
) -> FastAPI:
    """Make an ASGI application that answers what one student predicts.

    It has ``POST /predict``, ``POST /explain`` (if the student explains itself), ``GET /health``,
    ``GET /metrics`` and ``GET /openapi.json``. Any ASGI server runs it; :func:`run` does so with
    limits on connections, which are the server's business.

    Parameters
    ----------
    student : estimator
        Fitted, on numbers. No request changes it or has another one loaded.
    limits : Limits, default=None
        None are the defaults.
    token : str, default=None
        Asked of all requests but those for ``/health``, as ``Authorization: Bearer``.
    hosts : sequence of str, default=None
        The names in ``Host`` headers that are answered. None answers all. Names of this machine
        alone keep out web pages that make their own name point to it (DNS rebinding).
    threads : int, default=1
        Of numerical libraries, for one batch. Some libraries know but one number for the process.

    Returns
    -------
    FastAPI

    Raises
    ------
    TypeError, ValueError
        If the student cannot be served, or the token is no good.

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
    limits = limits or Limits()
    answers = Answers(student)
    reader = RowReader(answers, limits)
    predicting = Batcher(
        answers.predict,
        max_batch_rows=_BATCH_ROWS,
        max_queued_rows=limits.max_queued_rows,
        threads=threads,
        observe=lambda n_rows: metrics.batch_rows.observe(n_rows),
    )
    # Apart, and one at a time: an explanation takes as long as many predictions.
    explaining = Batcher(
        answers.explain,
        max_batch_rows=1,
        max_queued_rows=_QUEUED_EXPLANATIONS,
        threads=threads,
    )

    async def answer(batcher: Batcher, rows: np.ndarray) -> Sequence[Any]:
        try:
            async with asyncio.timeout(limits.answer_timeout):
                return await batcher.submit(rows)
        except (QueueFullError, TimeoutError):
            raise HTTPException(
                503, "Too many requests wait. Try again later.", {"Retry-After": "1"}
            ) from None

    async def predict(request: Request) -> Response:
        """Predict some rows."""
        told = await answer(predicting, await reader.read(request))
        result: dict[str, Any] = {"predictions": [prediction for prediction, _ in told]}
        if answers.classes is not None:
            result["classes"] = answers.classes
            result["probabilities"] = [probabilities for _, probabilities in told]
        return _json(result)

    async def explain(request: Request) -> Response:
        """Say why one row is predicted as it is."""
        rows = await reader.read(request)
        if len(rows) != 1:
            raise HTTPException(422, f"Explanations are of one row. This request has {len(rows)}.")
        return _json((await answer(explaining, rows))[0])

    async def health() -> Health:
        """Tell that the service runs; without a token."""
        return Health()

    async def show_metrics() -> Response:
        """Return counters and times for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(batcher.run()) for batcher in (predicting, explaining)]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    app = FastAPI(
        title=f"soft-students: {type(student).__name__}",
        version=version("soft-students"),
        lifespan=lifespan,
        # These pages would fetch scripts from other sites.
        docs_url=None,
        redoc_url=None,
    )
    app.state.limits = limits
    app.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        responses={200: {"model": Predictions}, **refusals()},
        openapi_extra=body_of(answers, limits.max_rows),
    )
    if answers.explains:
        app.add_api_route(
            "/explain",
            explain,
            methods=["POST"],
            responses=refusals(),
            openapi_extra=body_of(answers, 1),
        )
    app.add_api_route("/health", health)
    app.add_api_route("/metrics", show_metrics, responses={200: {"content": {"text/plain": {}}}})
    for path, said in (("/health", health), ("/metrics", show_metrics)):
        app.add_api_route(path, said, methods=["HEAD"], include_in_schema=False)
    metrics = Metrics(
        ("/predict", "/explain", "/health", "/metrics", "/openapi.json"),
        lambda: predicting.queued_rows,
    )
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_middleware(Guard, metrics=metrics, token=token)
    return app


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type=JSON)
