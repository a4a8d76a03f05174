"""The values of options that a shell offers; ``docs/shell.md`` says how it is set up.

A shell runs `softkd` at every press of the key: nothing here imports torch or scikit-learn.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from click.shell_completion import CompletionItem

#: A function or class at the top level of a module.
_TOP_LEVEL = re.compile(r"^(?:def|class) +([A-Za-z]\w*)", re.MULTILINE)

Offer = Callable[[Any, Any, str], list[CompletionItem]]


def offer(known: Callable[[], Mapping[str, str]], *, several: bool = False) -> Offer:
    """Return what offers names with their summaries.

    Parameters
    ----------
    known : callable
        Returns summaries by name.
    several : bool, default=False
        Whether the option takes names separated by commas; then the last one is completed.
    """

    def complete(ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        taken = before.split(",")
        return [
            CompletionItem(f"{before}{comma}{name}", help=summary)
            for name, summary in known().items()
            if name.startswith(last) and name not in taken
        ]

    return complete


def students() -> dict[str, str]:
    """Return the students and what they are good for."""
    from soft_students.students.registry import available

    return {name: entry.summary for name, entry in available().items()}


def methods() -> dict[str, str]:
    """Return the methods of neural students and their titles."""
    from soft_students.methods.catalog import entries

    return {key: entry.title for key, entry in entries().items()}


def networks() -> dict[str, str]:
    """Return the networks of teachers and neural students and what they are good for."""
    from soft_students.networks.zoo import NETWORKS

    return {name: entry.summary for name, entry in NETWORKS.items()}


def offer_data(ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
    """Offer data sets by name, tables and folders; in other folders, what the shell offers."""
    from soft_students.datasets.registry import TABLES, available_datasets

    named = [
        CompletionItem(name, help=summary)
        for name, summary in available_datasets().items()
        if name.startswith(incomplete)
    ]
    if not named:
        return [CompletionItem(incomplete, type="file")]
    # click's script for bash drops names if a file is to be completed, too
    with os.scandir() as entries:
        found = [
            CompletionItem(f"{entry.name}/" if entry.is_dir() else entry.name)
            for entry in sorted(entries, key=lambda entry: entry.name)
            if entry.name.startswith(incomplete)
            and not entry.name.startswith(".")
            and (entry.is_dir() or entry.name.lower().endswith(TABLES))
        ]
    return named + found


def offer_factories(ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
    """Offer MODULE:FACTORY: functions and classes of Python files in the current folder."""
    return [
        CompletionItem(name)
        for path in sorted(Path().glob("*.py"))
        for name in (f"{path.stem}:{found}" for found in _TOP_LEVEL.findall(_text(path)))
        if name.startswith(incomplete)
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
