"""Limits of requests and connections."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real


@dataclass(frozen=True)
class Limits:
    """Bounds on size, number and time, beyond which a request is refused.

    The memory of requests is bounded by ``max_connections * max_body_bytes``.

    Parameters
    ----------
    max_body_bytes : int, default=1048576
        Bytes of a request's body; larger ones are answered by 413.
    max_rows : int, default=1000
        Rows of a request; more are answered by 413.
    max_queued_rows : int, default=2000
        Rows waiting for prediction; further requests are answered by 503 at once.
    max_connections : int, default=256
        Simultaneously open connections; further ones are answered by 503 and closed.
    read_timeout : float, default=10.0
        Seconds for a client to send the head of a request, and again for its body (408). A client
        that does not read its answer for this time is disconnected.
    answer_timeout : float, default=5.0
        Seconds until a request without an answer fails (503).

    Examples
    --------
    >>> from soft_students.serving import Limits
    >>> Limits(max_rows=10).max_rows
    10
    >>> Limits(max_rows=0)
    Traceback (most recent call last):
    ...
    ValueError: The 'max_rows' parameter of Limits must be an int >= 1. Got 0 instead.
    """

    max_body_bytes: int = 1_048_576
    max_rows: int = 1_000
    max_queued_rows: int = 2_000
    max_connections: int = 256
    read_timeout: float = 10.0
    answer_timeout: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = isinstance(field.default, int)
            kind = Integral if whole else Real
            right = isinstance(value, kind) and not isinstance(value, bool)
            if not right or not (value >= 1 if whole else 0 < value < math.inf):
                wanted = "an int >= 1" if whole else "a finite number > 0"
                raise ValueError(
                    f"The {field.name!r} parameter of Limits must be {wanted}. "
                    f"Got {value!r} instead."
                )
        if self.max_queued_rows < self.max_rows:
            raise ValueError(
                "The 'max_queued_rows' parameter of Limits must be at least 'max_rows', or no "
                f"request of that size would be answered. Got {self.max_queued_rows} and "
                f"{self.max_rows}."
            )
