"""What one client may ask of the service."""

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
        Of one request's body; more is answered by 413.
    max_rows : int, default=1000
        Of one request; more is answered by 413.
    max_queued_rows : int, default=2000
        Rows that may wait for their prediction; beyond, requests are answered by 503 at once.
    max_connections : int, default=256
        Open at the same time; further ones are answered by 503 and closed.
    read_timeout : float, default=10.0
        Seconds in which a client has to send the head of a request, and then its body (408); and
        after which it is left if it does not read its answer.
    answer_timeout : float, default=5.0
        Seconds that a request may wait for its answer (503).

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
