"""Writes exports of several files, after checking them together."""

from __future__ import annotations

import contextlib
from pathlib import Path

from soft_students.persistence import atomic_write


def with_suffix(path: Path, suffix: str, form: str) -> Path:
    """Return `path`; raise ValueError if it does not end in `suffix`."""
    if path.suffix != suffix:
        raise ValueError(f"The path of {form} must end in '{suffix}'. Got '{path}'.")
    return path


def write_files(files: dict[Path, bytes], *, overwrite: bool) -> list[Path]:
    """Write files, each atomically and none before all have been checked.

    The user chose the first path. Existing later ones with the same content are kept, also without
    `overwrite`.
    """
    first, *others = files
    written = [first] + [path for path in others if not _holds(path, files[path])]
    for path in written:
        if path.exists() and not overwrite:
            raise FileExistsError(
                f"'{path}' exists already. Pass overwrite=True (--force to a command), or "
                "choose another path."
            )
    with contextlib.ExitStack() as stack:
        # Files get their names in reverse order: where the first exists, the others do.
        for path in written:
            file = stack.enter_context(atomic_write(path, overwrite=overwrite))
            file.write(files[path])
            file.flush()
    return list(files)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
