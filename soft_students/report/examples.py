"""Describes the rows on which the chosen student and the teacher differ most, for the page."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soft_students.comparison import ChosenAnswers
from soft_students.explain.tree_view import readable

_FEATURES = 6  # features shown of a row, those furthest from their means
_BARS = 3  # classes shown as bars


@dataclass(frozen=True)
class Example:
    """One row with its labels and features, as text.

    Parameters
    ----------
    row : int
        Number in the file of the table, from 0, or among the test rows of other data.
    truth, taught, predicted : str
        True, the teacher's and the student's label or value.
    picture : str or None
        A ``data:`` URI of the row as an image.
    features : list of (str, str, float)
        Name, value, and distance from the mean of the training rows in standard deviations.
    bars : list of (str, float, float)
        Class, and its probability by student and teacher.
    """

    row: int
    truth: str
    taught: str
    predicted: str
    picture: str | None
    features: list[tuple[str, str, float]]
    bars: list[tuple[str, float, float]]


def examples(
    answers: ChosenAnswers,
    image_shape: Sequence[int] | None,
    feature_names: Sequence[str] | None,
) -> list[Example]:
    """Return the stored rows, largest difference first.

    Parameters
    ----------
    answers : ChosenAnswers
    image_shape : (int, int) or None
        Height and width; None if rows are not images.
    feature_names : sequence of str or None

    Returns
    -------
    list of Example
    """
    made = []
    for row, x in zip(answers.rows.tolist(), answers.X, strict=True):
        picture = None
        features: list[tuple[str, str, float]] = []
        if image_shape is None:
            features = _unusual(x, answers, feature_names)
        else:
            picture = png(x.reshape(tuple(image_shape)))
        made.append(
            Example(
                int(answers.numbers[row]),
                _as_text(answers.truth[row], answers.classes),
                _as_text(answers.taught[row], answers.classes),
                _as_text(answers.predicted[row], answers.classes),
                picture,
                features,
                _bars(answers, row),
            )
        )
    return made


def png(values: np.ndarray) -> str:
    """Return a grey picture as a ``data:`` URI, with zero white and one black.

    Parameters
    ----------
    values : ndarray of shape (height, width)

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.report.examples import png
    >>> png(np.eye(2))[:22]
    'data:image/png;base64,'
    """
    pixels = np.rint(255 * (1 - np.clip(values, 0, 1))).astype(np.uint8)
    height, width = pixels.shape
    lines = np.hstack([np.zeros((height, 1), dtype=np.uint8), pixels])  # 0: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits of grey
    parts = (
        _chunk(b"IHDR", header),
        _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
        _chunk(b"IEND", b""),
    )
    text = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode("ascii")
    return f"data:image/png;base64,{text}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _as_text(answer: np.ndarray, classes: np.ndarray) -> str:
    if len(classes):
        return readable(classes[answer])
    return ", ".join(f"{value:.6g}" for value in np.atleast_1d(answer).tolist())


def _unusual(
    x: np.ndarray, answers: ChosenAnswers, feature_names: Sequence[str] | None
) -> list[tuple[str, str, float]]:
    names = feature_names or [f"feature {k}" for k in range(len(x))]
    spread = np.where(answers.deviation > 0, answers.deviation, 1)
    away = (x.astype(np.float64) - answers.mean) / spread
    known = np.flatnonzero(np.isfinite(away))
    order = known[np.argsort(-np.abs(away[known]), kind="stable")][:_FEATURES]
    return [(readable(names[k]), f"{x[k]:.5g}", float(away[k])) for k in order]


def _bars(answers: ChosenAnswers, row: int) -> list[tuple[str, float, float]]:
    if not len(answers.classes):
        return []
    student, teacher = answers.proba[row], answers.taught_proba[row]
    order = np.argsort(-np.maximum(student, teacher), kind="stable")[:_BARS]
    return [(readable(answers.classes[k]), float(student[k]), float(teacher[k])) for k in order]
