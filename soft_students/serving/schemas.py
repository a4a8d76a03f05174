"""OpenAPI schemas of requests and answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from soft_students.serving.answers import Answers
from soft_students.serving.bodies import FLOATS, JSON


class Predictions(BaseModel):
    """Prediction of each row; for classifiers also the probability of each of `classes`."""

    predictions: list[Any]
    classes: list[Any] | None = None
    probabilities: list[list[float]] | None = None


class Refusal(BaseModel):
    """Reason why a request was refused, in one sentence."""

    detail: str


class Health(BaseModel):
    """Status of the service."""

    status: str = "ok"


_REFUSALS = {
    400: "Invalid JSON",
    401: "Missing or wrong token",
    408: "The body arrived too slowly",
    413: "Too many bytes or rows",
    415: "Unsupported content type",
    422: "Rows do not fit the student's features",
    503: "Too many rows are waiting; try again after Retry-After seconds",
}


def refusals() -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of error responses, by status code."""
    return {
        status: {"model": Refusal, "description": description}
        for status, description in _REFUSALS.items()
    }


def body_of(answers: Answers, max_rows: int) -> dict[str, Any]:
    """Return the OpenAPI description of a request's body."""
    number = {"type": ["number", "null"] if answers.takes_missing else "number"}
    n = answers.n_features
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": max_rows,
        "items": {"type": "array", "minItems": n, "maxItems": n, "items": number},
    }
    properties: dict[str, Any] = {"rows": rows}
    if answers.feature_names is not None:
        properties["columns"] = {
            "type": "array",
            "description": "Order of the values in a row, if it differs from the default.",
            "items": {"type": "string", "enum": answers.feature_names},
            "default": answers.feature_names,
        }
    schema = {
        "type": "object",
        "required": ["rows"],
        "properties": properties,
        "additionalProperties": False,
    }
    floats = {
        "type": "string",
        "format": "binary",
        "description": f"Rows of {n} values of float32, little-endian, one after another.",
    }
    content = {JSON: {"schema": schema}, FLOATS: {"schema": floats}}
    return {"requestBody": {"required": True, "content": content}}
