"""The manifest of a folder of labelled parts; `soft_students.labelled.parts` describes it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

from soft_students.persistence import BundleError, atomic_write

FORMAT = "soft-students labelled parts"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

_SETTINGS = {
    "teacher_sha256",
    "task",
    "kind",
    "temperature",
    "classes",
    "n_features",
    "columns",
    "target",
    "part_rows",
}


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check the manifest of a folder.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    dict
        With the keys ``teacher``, ``settings`` and ``sources``.

    Raises
    ------
    FileNotFoundError
        If the folder has no manifest.
    BundleError
        If the manifest is damaged or of a later version.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"'{folder}' holds no labelled parts: '{path}' is missing. Create them with 'softkd "
            "label'."
        )
    try:
        manifest = json.loads(path.read_bytes())
        known = manifest["format"] == FORMAT and isinstance(manifest["format_version"], int)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"'{path}' is damaged, or not a manifest of labelled parts.") from error
    if not known:
        raise BundleError(f"'{path}' is not a manifest of labelled parts.")
    if manifest["format_version"] > FORMAT_VERSION:
        raise BundleError(
            f"'{path}' was written by a later version of soft-students (format "
            f"{manifest['format_version']}; this one reads up to {FORMAT_VERSION}). Upgrade."
        )
    if not _is_complete(manifest):
        raise BundleError(
            f"'{path}' is damaged: its settings or sources are invalid. Label into a new folder."
        )
    return manifest


def write_manifest(
    folder: str | os.PathLike[str],
    teacher: str,
    settings: dict[str, Any],
    sources: list[dict[str, Any]],
) -> None:
    """Write or replace the manifest of a folder.

    Parameters
    ----------
    folder : str or path-like
    teacher : str
        Name of the teacher.
    settings : dict
    sources : list of dict
        ``path``, ``name`` and ``cuts`` of each file.
    """
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "teacher": teacher,
        "settings": settings,
        "sources": sources,
    }
    with atomic_write(Path(folder) / MANIFEST) as file:
        file.write(json.dumps(content, indent=1).encode())


def settings_sha256(settings: dict[str, Any]) -> str:
    """Return the SHA-256 checksum of a manifest's settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _is_complete(manifest: dict[str, Any]) -> bool:
    settings, sources = manifest.get("settings"), manifest.get("sources")
    return (
        isinstance(manifest.get("teacher"), str)
        and isinstance(settings, dict)
        and set(settings) == _SETTINGS
        and _is_names(settings["columns"])
        and _is_plain(settings)
        and type(settings["n_features"]) is int
        and isinstance(sources, list)
        and all(
            isinstance(source, dict)
            and isinstance(source.get("path"), str)
            and _is_inside(source.get("name"))
            and "cuts" in source
            and _is_cuts(source["cuts"])
            for source in sources
        )
    )


def _is_plain(settings: dict[str, Any]) -> bool:
    """Return whether all settings have valid types."""
    classes, temperature = settings["classes"], settings["temperature"]
    return (
        isinstance(settings["task"], str)
        and isinstance(settings["kind"], str)
        and isinstance(settings["target"], str | None)
        and (temperature is None or type(temperature) in (int, float))
        and (
            classes is None
            or (
                isinstance(classes, list)
                and all(isinstance(label, bool | int | float | str) for label in classes)
            )
        )
    )


def _is_names(columns: Any) -> bool:
    return columns is None or (
        isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    )


def _is_inside(name: Any) -> bool:
    """Return whether a name lies in its folder: parts are replaced and removed by their names."""
    return isinstance(name, str) and not os.path.isabs(name) and ".." not in Path(name).parts


def _is_cuts(cuts: Any) -> bool:
    return cuts is None or (
        isinstance(cuts, list)
        and all(type(cut) is int for cut in cuts)
        and cuts[:1] == [0]
        and all(first < second for first, second in itertools.pairwise(cuts))
    )
