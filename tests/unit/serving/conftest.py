"""A student of iris, and ways to ask a service without a network."""

import asyncio
import json

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_iris

from soft_students import SoftDecisionTreeClassifier


@pytest.fixture(scope="session")
def iris():
    X, y = load_iris(return_X_y=True)
    return X.astype(np.float32), np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(scope="session")
def tree(iris):
    return SoftDecisionTreeClassifier(depth=3, epochs=5, random_state=0).fit(*iris)


@pytest.fixture(scope="session")
def together():
    """Return a function that runs a coroutine function on a client of a running application."""

    def run(app, talk):
        async def main():
            transport = httpx.ASGITransport(app=app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
            ):
                return await talk(client)

        return asyncio.run(main())

    return run


@pytest.fixture(scope="session")
def exchange():
    """Return a function that sends one request as ASGI messages, and returns status and answer."""

    def run(app, receive, headers, path="/predict"):
        async def main():
            sent = []

            async def send(message):
                sent.append(message)

            scope = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "POST",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "root_path": "",
                "server": ("testserver", 80),
                "client": ("testclient", 1),
                "headers": [
                    (name.lower().encode(), value.encode()) for name, value in headers.items()
                ],
            }
            async with app.router.lifespan_context(app):
                await app(scope, receive, send)
            return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])

        return asyncio.run(main())

    return run
