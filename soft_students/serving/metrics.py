"""Prometheus metrics of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Metrics of one service, in a separate registry.

    Parameters
    ----------
    paths : iterable of str
        Paths counted by name; all others count as "other", so that clients cannot add labels.
    queued_rows : callable
        Returns the number of waiting rows.
    """

    def __init__(self, paths: Iterable[str], queued_rows: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.paths = frozenset(paths)
        self._requests = Counter(
            "softkd_requests", "Requests answered.", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "softkd_request_seconds",
            "From the head of a request to the end of its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "softkd_batch_rows",
            "Rows that were predicted at once.",
            buckets=_ROWS,
            registry=self.registry,
        )
        Gauge(
            "softkd_queued_rows", "Rows that wait for their prediction.", registry=self.registry
        ).set_function(queued_rows)
        ProcessCollector(registry=self.registry)

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Record one request: its path, status and duration."""
        path = path if path in self.paths else "other"
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)
