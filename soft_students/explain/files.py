"""Saves pictures to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from soft_students.persistence import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Suffixes of the picture formats.
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
_DPI = 160


def save_picture(figure: Figure, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write a figure to a file, atomically.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or path-like
        Must end in ``.png``, ``.svg`` or ``.pdf``.
    overwrite : bool, default=True
        Whether to replace an existing file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If the path has another suffix.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written. An existing file is then unchanged.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(
            f"The path of a picture must end in {', '.join(PICTURE_SUFFIXES)}. Got '{path}'."
        )
    with atomic_write(path, overwrite=overwrite) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=_DPI)
    return path
