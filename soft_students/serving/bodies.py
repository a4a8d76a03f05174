"""Parsing and validation of request bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from soft_students.serving.answers import Answers
from soft_students.serving.limits import Limits

JSON = "application/json"
FLOATS = "application/octet-stream"

#: A body above the limit is read and dropped up to this many times the limit: a client that is
#: cut off while sending may not receive the reason.
_PATIENCE = 4


class _Rows(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[list[float]]
    columns: list[str] | None = None


class _RowsWithMissing(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[list[float | None]]
    columns: list[str] | None = None


class RowReader:
    """Reads the rows of a request; error messages never repeat its values.

    Parameters
    ----------
    answers : Answers
        Defines the number, names and type of the features.
    limits : Limits
    """

    def __init__(self, answers: Answers, limits: Limits) -> None:
        self._answers = answers
        self._limits = limits
        kind = _RowsWithMissing if answers.takes_missing else _Rows
        self._decoder: msgspec.json.Decoder[_Rows | _RowsWithMissing] = msgspec.json.Decoder(kind)

    async def read(self, request: Request) -> np.ndarray:
        """Return the rows of a request.

        Raises
        ------
        fastapi.HTTPException
            400 for invalid JSON or an upgrade to another protocol, 408 for a slow client, 413 for
            too many bytes or rows, 415 for another content type, 422 for rows that do not fit the
            student's features.
        """
        headers = request.headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = headers.get("content-encoding", "identity").lower()
        if kind not in (JSON, FLOATS) or encoding != "identity":
            raise HTTPException(
                415, f"Send rows as {JSON}, or as {FLOATS} (float32, little-endian), uncompressed."
            )
        if "upgrade" in headers:
            # The parser treats the bytes after the head as another protocol.
            raise HTTPException(
                400,
                "This service supports only HTTP/1.1. Send rows without the header 'Upgrade': set "
                "the client to HTTP/1.1.",
                {"Connection": "close"},
            )
        body = await self._body(request)
        rows = self._from_json(body) if kind == JSON else self._from_floats(body)
        self._check_values(rows)
        return rows

    async def _body(self, request: Request) -> bytes:
        limit, patience = self._limits.max_body_bytes, _PATIENCE * self._limits.max_body_bytes
        length = request.headers.get("content-length", "0")
        too_large = _too_large(f"A body has at most {limit:,} bytes. Send fewer rows at a time.")
        if not length.isdecimal() or int(length) > patience:
            raise too_large
        if int(length) > limit and "expect" in request.headers:
            raise too_large  # the client asks before it sends the body
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._limits.read_timeout):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= limit:
                        chunks.append(chunk)
                    elif size > patience:
                        break
        except TimeoutError:
            if size <= limit:
                raise HTTPException(
                    408,
                    f"The body did not arrive within {self._limits.read_timeout:g} seconds.",
                    {"Connection": "close"},
                ) from None
        except ClientDisconnect:
            raise HTTPException(400, "The client left before the body was complete.") from None
        if size > limit:
            raise too_large
        return b"".join(chunks)

    def _from_json(self, body: bytes) -> np.ndarray:
        try:
            told = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            # Names types and places ("Expected `float`, got `str` - at `$.rows[0][3]`").
            raise HTTPException(422, f"{error!s:.200}. {self._expected()}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise HTTPException(400, f"The body is not valid JSON. {self._expected()}") from None
        rows: Sequence[Sequence[float | None]] = told.rows
        n_features = self._answers.n_features
        self._check_number(len(rows))
        if set(map(len, rows)) != {n_features}:
            wrong = next(i for i, row in enumerate(rows) if len(row) != n_features)
            raise HTTPException(
                422, f"Row {wrong} has {len(rows[wrong])} values. {self._expected()}"
            )
        with np.errstate(over="ignore"):
            array = np.array(rows, dtype=self._answers.dtype)
        return array if told.columns is None else array[:, self._order(told.columns)]

    def _from_floats(self, body: bytes) -> np.ndarray:
        width = 4 * self._answers.n_features
        if len(body) % width:
            raise HTTPException(
                422,
                f"The body has {len(body):,} bytes, which is not a multiple of {width:,}: a row is "
                f"{self._answers.n_features} values of float32.",
            )
        self._check_number(len(body) // width)
        floats = np.frombuffer(body, dtype="<f4").reshape(-1, self._answers.n_features)
        return floats.astype(self._answers.dtype, copy=False)

    def _check_number(self, n_rows: int) -> None:
        if not n_rows:
            raise HTTPException(422, f"The request has no rows. {self._expected()}")
        if n_rows > self._limits.max_rows:
            raise _too_large(
                f"A request has at most {self._limits.max_rows:,} rows. This one has {n_rows:,}."
            )

    def _check_values(self, rows: np.ndarray) -> None:
        bad = np.isinf(rows) if self._answers.takes_missing else ~np.isfinite(rows)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise HTTPException(
                422, f"Value {column} of row {row} is NaN, infinite or too large for {rows.dtype}."
            )

    def _order(self, columns: list[str]) -> list[int]:
        """Return the position of each feature of the student in the request's columns."""
        names = self._answers.feature_names
        if names is None:
            raise HTTPException(
                422, "This student was not fitted on named columns. Leave out 'columns'."
            )
        place = {name: i for i, name in enumerate(columns)}
        if len(place) != len(columns) or place.keys() != set(names):
            raise HTTPException(
                422, f"'columns' must name each of the {len(names)} features once, in any order."
            )
        return [place[name] for name in names]

    def _expected(self) -> str:
        return f'Send {{"rows": [[...], ...]}} with {self._answers.n_features} numbers per row.'


def _too_large(detail: str) -> HTTPException:
    # The rest of the body is not read: the connection is closed.
    return HTTPException(413, detail, {"Connection": "close"})
