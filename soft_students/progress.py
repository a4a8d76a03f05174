"""Progress bar on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(*details: ProgressColumn, shown: bool = True) -> Iterator[Progress]:
    """Show a progress bar on standard error while a block runs, if that is a terminal.

    Parameters
    ----------
    *details : rich.progress.ProgressColumn
        Columns between the bar and the remaining time.
    shown : bool, default=True
        False shows nothing.
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *details,
        TimeRemainingColumn(),
        console=console,
        disable=not (shown and console.is_terminal),
        transient=True,
    ) as progress:
        yield progress
