"""Atomic writing of files, used for all output."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from soft_students.persistence.errors import reason, with_sentence

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..{1,32}\.[0-9a-f]{16}\.tmp")

#: Errors of the operating system when a file exceeds the disk, the quota or the size limit.
_OUT_OF_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file for atomic writing: it appears under its name only once complete.

    The bytes go to a temporary file in the same folder. When the block ends without an exception,
    the file is flushed to the disk and renamed to `path` in one step of the operating system. A
    reader therefore gets the old file or the new one, never a part. On any exception, including
    Ctrl-C, the temporary file is removed and an old file is not changed. If two processes write the
    same path, the last one wins.

    Parameters
    ----------
    path : str or path-like
        Path of the file, in an existing folder. A symbolic link is followed. An existing file keeps
        its permissions.
    overwrite : bool, default=True
        Whether an existing file may be replaced. False is checked at the start *and* at the end, so
        only one of two racing processes succeeds.

    Yields
    ------
    file : binary file object
        Writable, readable and seekable.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the folder is missing or cannot be written to, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from soft_students.persistence import atomic_write
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "notes.txt"
    >>> with atomic_write(path) as file:
    ...     _ = file.write(b"complete")
    >>> path.read_bytes()
    b'complete'
    >>> folder.cleanup()
    """
    target = Path(os.path.realpath(path))
    old_mode = _check_target(target, overwrite=overwrite)
    # The name identifies a file left by kill -9; it is cut so that the longest names still fit.
    temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
    file: BinaryIO | None = None
    lock: int | None = None
    try:
        file = _create(temporary, target)
        if fcntl is not None:
            lock = os.dup(file.fileno())  # shares the lock, and keeps it until the new name stands
        yield file
        file.flush()
        if old_mode is not None:
            os.chmod(temporary, old_mode)
        os.fsync(file.fileno())
        file.close()
        if overwrite:
            os.replace(temporary, target)
        else:
            _rename_without_replacing(temporary, target)
    except BaseException as error:
        if file is not None:
            # closing flushes, which fails a second time on a full disk
            with contextlib.suppress(OSError):
                file.close()
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno in _OUT_OF_ROOM:
            kept = "nothing was written" if old_mode is None else "the old file is intact"
            raise with_sentence(
                error,
                f"Cannot write '{target}': {reason(error)}; {kept}. Free some space or choose "
                "another path.",
            ) from error
        raise
    finally:
        if lock is not None:
            os.close(lock)
    _sync_folder(target.parent)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove temporary files of `atomic_write` whose process was killed.

    Files that a living process writes are kept.

    Parameters
    ----------
    folder : str or path-like
        Searched with the folders below it.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_unlocked(Path(place, name))


def _remove_unlocked(path: Path) -> None:
    """Remove a file, unless a process has locked it or nothing can be locked there."""
    if fcntl is None:
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)


def _check_target(target: Path, *, overwrite: bool) -> int | None:
    """Return the permissions of the file to be replaced; None if it does not exist."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise with_sentence(
            error, f"Cannot write '{target}': {reason(error)}. Choose another path."
        ) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            f"Cannot write '{target}': it is a folder. Give the path of a file in it."
        )
    if not stat.S_ISREG(mode):
        raise OSError(
            f"Cannot write '{target}': it is a device or a pipe. Give the path of an ordinary file."
        )
    if not overwrite:
        raise _already_exists(target)
    return stat.S_IMODE(mode)


def _create(temporary: Path, target: Path) -> BinaryIO:
    # not by tempfile, which ignores the umask: only the owner could read the file
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not os.fstat(descriptor).st_nlink:  # removed between the two steps
                os.close(descriptor)
                return _create(temporary, target)
    except OSError as error:
        folder = target.parent
        if not folder.exists():
            message = f"the folder '{folder}' does not exist. Create it or choose another path."
        elif not folder.is_dir():
            message = f"'{folder}' is not a folder. Choose another path."
        else:
            message = f"cannot create a file in '{folder}' ({reason(error)}). Choose another path."
        raise with_sentence(error, f"Cannot write '{target}': {message}") from error
    return os.fdopen(descriptor, "w+b")


def _rename_without_replacing(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _already_exists(target) from None
    except OSError:
        # a file system without hard links: check and rename are two steps
        if target.exists():
            raise _already_exists(target) from None
        os.replace(temporary, target)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    # so that the new name survives a power cut; Windows cannot and need not do this
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _already_exists(target: Path) -> OSError:
    error = FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return with_sentence(
        error,
        f"'{target}' exists already. Pass overwrite=True (--force to a command), or "
        "choose another path.",
    )
